"""Texts for the data-aware quantization methods, one sample a line, as `samples.txt`: a file beside the recipe, or of a hub data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_never

from bakehouse.errors import Failure
from bakehouse.recipe.calibration import Calibration, CalibrationFile, CalibrationHub
from bakehouse.sources import local
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Loose, Report
from bakehouse.steps.step import Step

SAMPLES = "samples.txt"


def samples(source: Calibration, label: str, *, base: Path, fingerprint: str | None) -> Step:
    """The step that brings the texts; how many of them are used is the quantization's business.

    Args:
        base: the recipe's folder.
        fingerprint: `local.fingerprint` of a file beside the recipe; None for a hub data set.

    Raises:
        Failure: the file is not there, or lies outside `base`.
    """
    match source:
        case CalibrationFile():
            path = resolve_texts(base, source.path)
            options: dict[str, Any] = {"type": "file", "fingerprint": fingerprint}
            return Step(kind="calibration", maker="calibration", label=label, spec=Loose(**options), notes={"path": str(path)})
        case CalibrationHub():
            options = {"type": "huggingface", "repo": source.repo, "revision": source.revision, "file": source.file}
            return Step(kind="calibration", maker="calibration", label=label, spec=Loose(**options))
        case _:
            assert_never(source)


def resolve_texts(base: Path, relative: str) -> Path:
    """`local.resolve` for calibration texts: a file.

    Raises:
        Failure: it is a directory, or as `local.resolve`.
    """
    if (base / relative).is_dir():
        raise Failure(f"{relative} is a directory.", where=str(base), remedy="Write the path of a text file into the recipe.")
    return local.resolve(base, relative)


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that writes samples.txt into `files`."""
    asked = step.options
    if asked["type"] == "file":
        return worker("sources.workers.copy_local", "--path", step.notes["path"], "--as", SAMPLES, "--files", str(files))
    where = ("--repo", asked["repo"], "--revision", asked["revision"], "--type", "dataset")
    only = ("--only", asked["file"], "--as", SAMPLES, "--files", str(files))
    return worker("sources.workers.hub_download", *where, *only, needs_network=True, hub_token=True)


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Hold the texts against what was planned with: the same bytes, UTF-8, and at least one sample."""
    faults = local.lost(files, [SAMPLES])
    if faults:
        return Verification(faults=tuple(faults))
    if step.options["type"] == "file":
        copied = {Path(step.notes["path"]).name: report.values.get("files", {}).get(SAMPLES, "")}
        if local.combined(copied) != step.options["fingerprint"]:
            faults.append("The calibration file changed while it was being read: run the same command again.")
    try:
        count = sum(1 for line in (files / SAMPLES).read_text(encoding="utf-8").splitlines() if line.strip())
    except UnicodeDecodeError as error:
        return Verification(faults=(*faults, f"The calibration texts are not UTF-8: byte {error.start} cannot be read."))
    if not count:
        faults.append("The calibration texts are empty: one sample a line is needed.")
    return Verification({"samples": count}, tuple(faults))
