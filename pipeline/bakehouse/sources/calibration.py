"""Texts for data-aware quantization or for measuring fidelity, one sample a line, as `samples.txt`: a local file, or of a hub data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import assert_never

from bakehouse.recipe.texts import Texts, TextsFile, TextsHub
from bakehouse.sources import local
from bakehouse.sources.local import Content
from bakehouse.sources.seams import CopyRequest, CopyResult, DownloadRequest, TextsFileSpec, TextsHubSpec
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Notes, Step

SAMPLES = "samples.txt"


def samples(source: Texts, label: str, content: Content | None) -> Step:
    """The step that brings the texts; how many of them are used is its user's business.

    Args:
        content: the file that `source` names; None for a hub data set.
    """
    match source:
        case TextsFile():
            if content is None:
                raise ValueError("a file of texts is planned with its content")
            spec, notes = TextsFileSpec(fingerprint=content.fingerprint), Notes(path=content.path)
            return Step(kind="calibration", maker="calibration", label=label, spec=spec, notes=notes)
        case TextsHub():
            pinned = TextsHubSpec(repo=source.repo, revision=source.revision, file=source.file)
            return Step(kind="calibration", maker="calibration", label=label, spec=pinned)
        case _:
            assert_never(source)


def resolve_texts(base: Path, written: str, *, confined: bool) -> Path:
    """`local.resolve` for calibration texts: a file.

    Raises:
        Failure: it is a directory, or as `local.resolve`.
    """
    return local.resolve_file(base, written, "a text file", confined=confined)


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that writes samples.txt into `files`."""
    if isinstance(step.spec, TextsFileSpec):
        return worker("sources.workers.copy_local", request=CopyRequest(path=local.place(step), name=SAMPLES, files=files))
    spec = step.spec_as(TextsHubSpec)
    request = DownloadRequest(
        repo=spec.repo, revision=spec.revision, type="dataset", only=spec.file, name=SAMPLES, remote_code={}, files=files
    )
    return worker("sources.workers.hub_download", request=request, needs_network=True, hub_token=True)


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare the texts with what was planned with: the same bytes, UTF-8, and at least one sample."""
    faults = local.lost(files, [SAMPLES])
    if faults:
        return Verification(faults=tuple(faults))
    if isinstance(step.spec, TextsFileSpec) and not local.is_as_planned(
        step, step.spec.fingerprint, report.read(CopyResult).files.get(SAMPLES, "")
    ):
        faults.append("The file of texts changed while it was being read: run the same command again.")
    try:
        count = sum(1 for line in (files / SAMPLES).read_text(encoding="utf-8").splitlines() if line.strip())
    except UnicodeDecodeError as error:
        return Verification(faults=(*faults, f"The texts are not UTF-8: byte {error.start} cannot be read."))
    if not count:
        faults.append("The texts are empty: one sample a line is needed.")
    return Verification({"samples": count}, tuple(faults))
