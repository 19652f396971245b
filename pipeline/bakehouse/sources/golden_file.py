"""The files that golden inputs name: each is copied into the store, and pinned by its content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bakehouse.sources import local
from bakehouse.sources.local import Content
from bakehouse.sources.seams import CopyRequest, CopyResult, GoldenFileSpec
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Kind, Notes, Step


@dataclass(frozen=True)
class GoldenFile:
    """The maker of the steps that bring such files of one kind.

    Attributes:
        kind: of the steps; it is also what a person calls such a file, and the maker's name.
        form: what it must be, as "a WAV file".
        file: its name in the folder of the step.
        judge: compares the file with what models take; the second is what the author calls it.
    """

    kind: Kind
    form: str
    file: str
    judge: Callable[[Path, str], Verification]

    def step(self, label: str, content: Content) -> Step:
        """The step that brings a file."""
        spec, notes = GoldenFileSpec(fingerprint=content.fingerprint), Notes(path=content.path)
        return Step(kind=self.kind, maker=self.kind, label=label, spec=spec, notes=notes)

    def resolve(self, base: Path, written: str, *, confined: bool) -> Path:
        """`local.resolve` for a file.

        Raises:
            Failure: it is a directory, or as `local.resolve`.
        """
        return local.resolve_file(base, written, self.form, confined=confined)

    def command(self, step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
        """The command that copies the file into `files`."""
        return worker("sources.workers.copy_local", request=CopyRequest(path=local.place(step), name=self.file, files=files))

    def verify(self, step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
        """Compare the file with what was planned with: the same bytes, of a form that models take."""
        if faults := local.lost(files, [self.file]):
            return Verification(faults=tuple(faults))
        planned = step.spec_as(GoldenFileSpec).fingerprint
        if not local.is_as_planned(step, planned, report.read(CopyResult).files.get(self.file, "")):
            return Verification(faults=(f"The {self.kind} changed while it was being read: run the same command again.",))
        return self.judge(files / self.file, local.place(step).name)
