"""A checkpoint with safetensors weights, made from one whose weights are pickles; no code in them runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bakehouse.formats import safetensors_files
from bakehouse.sources.seams import UnpickleRequest, UnpickleResult, UnpickleSpec
from bakehouse.steps.cost import installed, not_installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step

MAKER = "unpickle"
TOOLS = ("torch", "safetensors")


def checkpoint(download: Step, label: str) -> Step:
    """The step that turns the pickled weights of the `download` step into safetensors."""
    needs = (("download", download),)
    return Step(kind="checkpoint", maker=MAKER, label=label, spec=UnpickleSpec(), needs=needs, tools=installed(*TOOLS))


def missing() -> str | None:
    """What is not installed and what to do; None if all of it is."""
    return not_installed(TOOLS)


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that reads the download and writes the checkpoint into `files`."""
    return worker("sources.workers.unpickle", request=UnpickleRequest(checkpoint=inputs["download"], files=files))


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """See that the checkpoint is complete, with as many tensors as the pickles have; their values are not compared."""
    faults = list(safetensors_files.faults(files))
    found = report.read(UnpickleResult).tensors
    if not faults and len(safetensors_files.tensors(files)) != found:
        faults.append(f"The pickles hold {found} tensors, and the checkpoint has {len(safetensors_files.tensors(files))}.")
    return Verification({"tensors": found}, tuple(faults))
