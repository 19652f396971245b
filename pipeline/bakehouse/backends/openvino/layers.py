"""Which layers of a model keep 8 bits, by what each of them costs in 4: measured once for a checkpoint and a way of rounding."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.backends.openvino.quantization import Int4, Scope
from bakehouse.backends.openvino.seams import SensitivityRequest, SensitivitySpec
from bakehouse.recipe.kinds import BuildOptions
from bakehouse.steps.cost import installed
from bakehouse.steps.maker import Command, worker
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation import layers
from bakehouse.tasks.text_generation.seams import FidelityReferenceSpec

TOOLS = ("nncf", "numpy", "openvino", "torch", "transformers")


def sensitivity(label: str, build: BuildOptions, parts: Mapping[str, Step], reference: Step) -> Step | None:
    """The step that measures the layers; every ratio of a group size shares it. None for a build that has nothing to rank."""
    assert isinstance(build, OpenVINO)
    options = build.quantization
    if not isinstance(options, Int4) or options.ratio == 1.0:
        return None
    source = reference.spec_as(FidelityReferenceSpec)
    spec = SensitivitySpec(
        symmetric=options.symmetric,
        group_size=options.group_size,
        windows=layers.WINDOWS,
        float32_below=source.float32_below,
        remote_code=source.remote_code,
    )
    needs = (("checkpoint", reference.need("checkpoint")), ("export", parts["config"]), ("reference", reference))
    return Step(kind="sensitivity", maker="openvino", label=label, spec=spec, needs=needs, tools=installed(*TOOLS))


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that makes it."""
    request = SensitivityRequest(
        export=inputs["export"],
        checkpoint=inputs["checkpoint"],
        reference=inputs["reference"],
        files=files,
        options=step.spec_as(SensitivitySpec),
    )
    return worker("backends.openvino.workers.sensitivity", request=request)


def keeping(build: BuildOptions, files: Path) -> OpenVINO:
    """The build with its share of weights in 4 bits as layers by name: those with the least harm for each weight that fit in."""
    assert isinstance(build, OpenVINO) and isinstance(build.quantization, Int4)
    options = build.quantization
    kept = layers.out_of_four_bits(layers.read(files), options.ratio)
    field = "ignored_scope" if options.backup_precision == "none" else "backup_scope"
    changes = {"ratio": 1.0, **({field: Scope(names=kept, patterns=(), types=())} if kept else {})}
    return build.model_copy(update={"quantization": options.model_copy(update=changes)})
