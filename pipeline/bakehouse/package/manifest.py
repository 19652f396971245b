"""The manifest inside every package, `bakehouse.json`."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from bakehouse.recipe.resolved import ResolvedBuild
from bakehouse.recipe.types import Name
from bakehouse.records import Builder, Distribution, Fidelity, FileRecord, NumericCheck, Ran, Validation, Verdict, Wheel, Written
from bakehouse.store.package_files import file_in


class SourceRecord(Written):
    """Where the model came from: in words, and every file that came from there."""

    described: str  # "microsoft/Phi-3-mini-4k-instruct at f39ac1d28e92..."
    files: tuple[FileRecord, ...]


class StepRun(Written):
    """A step that took part in making the package, and the commands that it ran."""

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
    tools: dict[str, str]  # of the steps that made and ran the model, as in their keys
    packages: tuple[Distribution, ...] = ()  # installed by those steps for themselves, outside the pipeline's environment
    reference_tools: dict[str, str] = Field(default_factory=dict)  # those that made the answers which the model's are compared with
    steps: tuple[StepRun, ...]  # in the order in which they depend on each other
    files: tuple[FileRecord, ...]  # every file of the package except this one and `PROOFS`, which are made from it
    draft_source: SourceRecord | None = Field(None, exclude_if=lambda source: source is None)  # of the draft in the folder `draft`
    measured: dict[str, Any]  # what verify read from the artifact
    validation: Validation
    targets: tuple[str, ...]  # devices that the package is made for
    made_at: datetime
    made_on: dict[str, str]
    wheels: tuple[Wheel, ...] = ()  # those of all tools that are installed in this environment
    builder: Builder = Builder()
    numeric: NumericCheck | None = None  # None in packages of older versions, and if a backend has no such check
    fidelity: Fidelity | None = None  # None in packages of older versions, of a bundle, and if a backend does not measure it
    members: tuple[PackageManifest, ...] = ()  # of a bundle: the packages in it; `build` and `validation` are the first's

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Every golden prompt with its answer."""
        return tuple(verdict for one in self.members or (self,) for verdict in one.validation.verdicts)

    @property
    def in_use_verdicts(self) -> tuple[Verdict, ...]:
        """The same prompts with the answers that users get, if these were tried separately."""
        return tuple(verdict for one in self.members or (self,) if one.validation.in_use for verdict in one.validation.in_use.verdicts)

    @property
    def unproven(self) -> tuple[str, ...]:
        """The targets on which it has not been run; if only some of a target's devices were present, the others."""
        if self.members:
            return tuple(dict.fromkeys(target for member in self.members for target in member.unproven))
        if self.validation.stand_in:
            return self.targets
        return (*(target for target in self.targets if target != self.validation.device), *self.validation.not_run)

    @property
    def licence_file(self) -> str | None:
        """Path of the licence's text in the package, or None."""
        return next((file.path for file in self.files if re.fullmatch(r"(?i)licen[cs]e(\.\w+)?", file.path)), None)

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size for file in self.files)


def read(package: Path) -> PackageManifest:
    """The manifest in the folder of a package.

    Raises:
        OSError, ValidationError: it is missing, or Bakehouse did not write it.
    """
    return PackageManifest.model_validate_json(file_in(package).read_bytes())
