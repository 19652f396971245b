"""A checkpoint with LoRA adapters merged into it, by peft; what the adapters do at run time, the merged model does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bakehouse.formats import safetensors_files
from bakehouse.formats.checkpoint import Survey
from bakehouse.recipe.source import adapter_role
from bakehouse.sources.seams import MergeRequest, MergeResult, MergeSpec
from bakehouse.steps.cost import Estimate, installed, not_installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step

MAKER = "adapters"
TOOLS = ("peft", "safetensors", "torch", "transformers")
_BASE_BYTES = 800_000_000  # interpreter, torch, transformers


def checkpoint(base: Step, adapters: Sequence[tuple[Step, float]], label: str) -> Step:
    """The step that merges adapters, each with its scale, into the checkpoint of the step `base`."""
    needs = (("base", base), *((adapter_role(number), step) for number, (step, _) in enumerate(adapters, 1)))
    spec = MergeSpec(scales=tuple(scale for _, scale in adapters))
    return Step(kind="checkpoint", maker=MAKER, label=label, spec=spec, needs=needs, tools=installed(*TOOLS))


def missing() -> str | None:
    """What is not installed and what to do; None if all of it is."""
    return not_installed(TOOLS)


def estimate(base: Survey) -> Estimate:
    """What merging takes: the model in float32 in memory, and once more on disk for a while."""
    return Estimate(6 * base.parameters, 5 * base.parameters + _BASE_BYTES)


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that writes the merged checkpoint into `files`."""
    folders = tuple(inputs[role] for role, _ in step.needs if role != "base")
    request = MergeRequest(checkpoint=inputs["base"], adapters=folders, scales=step.spec_as(MergeSpec).scales, files=files)
    return worker("sources.workers.merge_adapters", request=request)


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare names, types and shapes of all weights with those of the model that the adapters were merged into."""
    faults = list(safetensors_files.faults(files))
    if faults:
        return Verification(faults=tuple(faults))
    wanted, found = (set(safetensors_files.tensors(folder)) for folder in (inputs["base"], files))
    faults += [f"{name} {dtype} {list(shape)} was not made" for name, dtype, shape in sorted(wanted - found)]
    faults += [f"{name} {dtype} {list(shape)} was not expected" for name, dtype, shape in sorted(found - wanted)]
    result = report.read(MergeResult)
    if not result.changed:
        faults.append("The adapters changed no weight.")
    return Verification(result.model_dump(mode="json"), tuple(faults))
