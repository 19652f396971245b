"""The step in which transformers computes, in float32 and one by one, what the builds of a checkpoint are compared with.

Every task but text generation has one; they differ in what is given to the checkpoint and in what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bakehouse.formats.checkpoint import Survey
from bakehouse.steps.cost import Estimate, installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.tasks.seams import SourceRequest, SourceSpec

_TOOLS = ("tokenizers", "torch", "transformers")
_BASE_BYTES = 800_000_000


@dataclass(frozen=True)
class SourceRun:
    """The maker of such steps for one task.

    Attributes:
        maker: what the steps are made by, in their records and keys.
        worker: the module that computes.
        request: what the worker gets: by the step, the folders that it reads, and the one that it fills.
        check: compares what is in the folder with the step.
        tools: besides transformers, those that change what is computed.
    """

    maker: str
    worker: str
    request: Callable[[Step, Mapping[str, Path], Path], SourceRequest]
    check: Callable[[Step, Path, Report], Verification]
    tools: tuple[str, ...] = ()

    def step(self, label: str, checkpoint: Step, spec: SourceSpec, others: Iterable[tuple[str, Step]] = ()) -> Step:
        """The step that gives the inputs of `spec` to a checkpoint; `others` are the steps that bring files of the inputs."""
        needs = (("checkpoint", checkpoint), *others)
        return Step(kind="reference", maker=self.maker, label=label, spec=spec, needs=needs, tools=installed(*_TOOLS, *self.tools))

    def command(self, step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
        """The command that fills `files`."""
        return worker(self.worker, request=self.request(step, inputs, files))

    def verify(self, step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
        """Compare what was made with the step."""
        return self.check(step, files, report)

    def estimate(self, step: Step, survey: Survey) -> Estimate:
        """The weights in float32."""
        return Estimate(0, 4 * survey.parameters + _BASE_BYTES)
