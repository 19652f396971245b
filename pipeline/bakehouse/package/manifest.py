"""What we write: the record beside every directory of the store, and the manifest inside every package."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from bakehouse.recipe.recipe import ResolvedBuild
from bakehouse.recipe.types import Name
from bakehouse.records import Builder, FileRecord, InUse, NumericCheck, Package, Ran, Verdict, Wheel, Written
from bakehouse.store.package_files import file_in


class Validation(Written):
    """`files/validation.json` of a validate step: every verdict, and where the model ran.

    Times are of one cold run, with whatever else ran on the machine: they say nothing about how fast the model is.
    """

    verdicts: tuple[Verdict, ...]  # in the model's own precision, where the runtime has a mode for that
    in_use: InUse | None = None  # of a runtime that computes in another precision by default
    device: str  # as the runtime calls it: "CPU"
    device_name: str
    stand_in: bool = False  # whether that device only stands in for the one that the model is made for
    runtime_options: dict[str, str] = Field(
        default_factory=dict
    )  # what the runtime was told besides its defaults: {"EXECUTION_MODE_HINT": "ACCURACY"}
    not_run: tuple[str, ...] = ()  # parts that were made for other devices: ("NPU 3720",), whose blob is in it
    load_s: float
    peak_memory_bytes: int


class SourceRecord(Written):
    """Where the model came from: in words, and every file that came from there."""

    described: str  # "microsoft/Phi-3-mini-4k-instruct at f39ac1d28e92..."
    files: tuple[FileRecord, ...]


class StepRun(Written):
    """A step that the package was made by, and the commands that it ran."""

    kind: str
    key: str
    ran: tuple[Ran, ...]
    made_at: datetime | None = None


class PackageManifest(Written):
    """The `bakehouse.json` inside a package: what it is, how it was made, and what has been shown of it."""

    schema_version: Literal[1] = 1
    name: Name  # the build's full name
    key: str  # of the package step
    build: ResolvedBuild
    source: SourceRecord
    tools: dict[str, str]  # of the steps that made the model and ran it, as their keys name them
    packages: tuple[Package, ...] = ()  # that those steps installed for themselves, beside the pipeline's own environment
    reference_tools: dict[str, str] = Field(default_factory=dict)  # of the answers that the model's are compared with
    steps: tuple[StepRun, ...]  # in the order in which they depend on each other
    files: tuple[FileRecord, ...]  # every file of the package but this one and those of `PROOFS`, which are made from it
    measured: dict[str, Any]  # what verify read from the artifact
    validation: Validation
    targets: tuple[str, ...]  # devices that it is made for
    made_at: datetime
    made_on: dict[str, str]
    wheels: tuple[Wheel, ...] = ()  # of all tools, those that are installed in this environment
    builder: Builder = Builder()
    numeric: NumericCheck | None = None  # None in packages of older versions, and where a lane has no such check
    members: tuple[PackageManifest, ...] = ()  # of a repository: the packages in it; `build` and `validation` are the first's

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Every golden prompt with its answer."""
        return tuple(verdict for one in self.members or (self,) for verdict in one.validation.verdicts)

    @property
    def in_use_verdicts(self) -> tuple[Verdict, ...]:
        """The same prompts with the answers that users get, where these were tried by themselves."""
        return tuple(verdict for one in self.members or (self,) if one.validation.in_use for verdict in one.validation.in_use.verdicts)

    @property
    def unproven(self) -> tuple[str, ...]:
        """The targets on which it has not been run, and where only some of a target's devices were there, the others."""
        if self.members:
            return tuple(dict.fromkeys(target for member in self.members for target in member.unproven))
        if self.validation.stand_in:
            return self.targets
        return (*(target for target in self.targets if target != self.validation.device), *self.validation.not_run)

    @property
    def licence_file(self) -> str | None:
        """Path of the licence's text in the package, if it is there."""
        return next((file.path for file in self.files if re.fullmatch(r"(?i)licen[cs]e(\.\w+)?", file.path)), None)

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size for file in self.files)


def read(package: Path) -> PackageManifest:
    """The manifest in the folder of a package.

    Raises:
        OSError, ValidationError: there is none, or it is not one of ours.
    """
    return PackageManifest.model_validate_json(file_in(package).read_bytes())
