"""What a task is: a module that knows one kind of model, without any runtime. The table of them is `tasks.table`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from bakehouse.formats.checkpoint import Survey
from bakehouse.formats.gguf_header import Metadata
from bakehouse.recipe.kinds import BuildOptions
from bakehouse.recipe.model import Model
from bakehouse.recipe.resolved import ResolvedBuild
from bakehouse.records import Validation
from bakehouse.steps.cost import Estimate
from bakehouse.steps.maker import Maker, Verification
from bakehouse.steps.seam import Report, Request
from bakehouse.steps.step import Step
from bakehouse.tasks.seams import RunRequest


@dataclass(frozen=True)
class References:
    """The steps that compute what the builds of a checkpoint are compared with, from the checkpoint itself.

    Attributes:
        answers: to the golden inputs.
        logits: which a converted model's are compared with; None for a task without a numeric check.
        distributions: which the fidelity of a build is measured against; None for a task that measures none.
    """

    answers: Step
    logits: Step | None = None
    distributions: Step | None = None


@dataclass(frozen=True)
class Trial:
    """A model was run on the golden inputs, and is to be judged.

    Attributes:
        files: the folder that the runtime's worker wrote into, and `report` is what it reported.
        reference: the files of the step that has the source's own answers; `of_reference` is what was measured of it.
        measured: what was measured of each step that the model consists of.
        without_adapters: the files of the step that has the source's answers without the adapters that the model has next to it, if any.
    """

    golden: Sequence[Model]
    options: BuildOptions
    files: Path
    report: Report
    peak_memory_bytes: int
    reference: Path
    of_reference: Mapping[str, JsonValue]
    measured: Sequence[Mapping[str, JsonValue]]
    without_adapters: Path | None = None


def role_of(number: int, field: str) -> str:
    """The role of the step that brings the file which a field of a golden input names."""
    return f"golden-{number}-{field}"


@dataclass(frozen=True)
class Golden:
    """The golden inputs of a recipe, each with its defaults spelled out, and the steps that bring the files they name, by role."""

    inputs: Sequence[Model]
    files: Mapping[str, Step]


class Reference(Maker, Protocol):
    """Makes the steps that compute what builds are compared with."""

    def estimate(self, step: Step, survey: Survey) -> Estimate:
        """What one of its steps will take."""
        ...


class Task(Protocol):
    """A module that knows one kind of model."""

    def references(self, label: str, checkpoint: Step, golden: Golden, texts: Step | None, remote_code: bool) -> References:
        """The steps that the builds of a recipe are compared with. Pure.

        Args:
            label: the recipe's name.
            texts: the step that brings the recipe's own texts for measuring fidelity, if it has some.
            remote_code: whether Python files of the checkpoint may run.
        """
        ...

    def request(self, golden: Sequence[Model], model: Path, files: Path, brought: Mapping[str, Path]) -> Request:
        """What the worker of a runtime is to do with the model in the folder `model`, writing into `files`; a backend adds its own.

        `brought` are the folders of the files that golden inputs name, by role.
        """
        ...

    def judge(self, trial: Trial) -> tuple[Validation, Verification]:
        """What came of a trial, for the manifest, and what is wrong with it."""
        ...

    def unfit(self, survey: Survey) -> tuple[str, ...]:
        """Sentences on why no runtime could make this checkpoint a model of this task."""
        ...

    def misfits(self, build: ResolvedBuild, survey: Survey) -> tuple[str, ...]:
        """Sentences on why a build does not fit its checkpoint, whatever the runtime: from its headers alone."""
        ...

    def misfits_of_files(self, build: ResolvedBuild, folder: Path, survey: Survey, own_code: bool) -> tuple[str, ...]:
        """The same from the checkpoint's small files, once they are in `folder`; `own_code`: Python files of its own decide, too."""
        ...

    def misfits_of_gguf(self, build: ResolvedBuild, metadata: Metadata) -> tuple[str, ...]:
        """The same of a GGUF file, from its metadata."""
        ...


class Direct(Protocol):
    """What a task has besides, if one gives a model something and gets one answer that can be printed: `bakehouse run`."""

    def request_of(self, words: Sequence[str], model: Path, files: Path) -> RunRequest:
        """What the worker of a runtime is to do with the words of a command line.

        Raises:
            Failure: these words are nothing that such a model takes.
        """
        ...

    def lines_of(self, words: Sequence[str], files: Path) -> tuple[str, ...]:
        """The lines to print of what the worker wrote."""
        ...
