"""The recordings that golden inputs name: each is copied into the store, and pinned by its content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bakehouse.formats import wav
from bakehouse.sources import local
from bakehouse.sources.local import Content
from bakehouse.sources.seams import CopyRequest, CopyResult, RecordingSpec
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Notes, Step
from bakehouse.tasks.speech.recordings import FILE

MAKER = "recording"


def step(label: str, content: Content) -> Step:
    """The step that brings a recording."""
    spec, notes = RecordingSpec(fingerprint=content.fingerprint), Notes(path=content.path)
    return Step(kind="recording", maker=MAKER, label=label, spec=spec, notes=notes)


def resolve(base: Path, written: str, *, confined: bool) -> Path:
    """`local.resolve` for a recording: a file.

    Raises:
        Failure: it is a directory, or as `local.resolve`.
    """
    return local.resolve_file(base, written, "a WAV file", confined=confined)


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that copies the recording into `files`."""
    return worker("sources.workers.copy_local", request=CopyRequest(path=local.place(step), name=FILE, files=files))


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare the recording with what was planned with: the same bytes, of a form that models take, and not too long."""
    if faults := local.lost(files, [FILE]):
        return Verification(faults=tuple(faults))
    if not local.is_as_planned(step, step.spec_as(RecordingSpec).fingerprint, report.read(CopyResult).files.get(FILE, "")):
        return Verification(faults=("The recording changed while it was being read: run the same command again.",))
    try:
        seconds = wav.seconds(wav.samples(files / FILE))
    except wav.NotARecording as reason:
        return Verification(faults=(f"The recording {local.place(step).name} cannot be used: {reason}.",), remedy=wav.HOW_TO)
    long = f"The recording {local.place(step).name} is {seconds:.1f} seconds long; at most {wav.LONGEST_S} can be compared."
    return Verification({"seconds": seconds}, (long,) if seconds > wav.LONGEST_S else ())
