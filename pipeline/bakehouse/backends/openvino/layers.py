"""Which layers of a model keep 8 bits, by what each of them costs in 4: measured once for a checkpoint and a way of rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.backends.openvino.quantization import Int4, Scope
from bakehouse.backends.openvino.seams import LAYERS, Layer, SensitivityRequest, SensitivityResult, SensitivitySpec
from bakehouse.recipe.recipe import BuildOptions
from bakehouse.steps.cost import installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation.seams import FidelityReferenceSpec

WINDOWS = 2  # of text, to measure layers in: the choice is better than NNCF's by far (docs/benchmarks.md, "Which layers get 4 bits")
TOOLS = ("nncf", "numpy", "openvino", "torch", "transformers")
_LAYERS = TypeAdapter(tuple[Layer, ...])


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
        windows=WINDOWS,
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


def verify(files: Path, report: Report) -> Verification:
    """Whether every layer was measured."""
    if not (files / LAYERS).is_file():
        return Verification(faults=(f"{LAYERS} was not made",))
    result = report.read(SensitivityResult)
    found = len(read(files))
    faults = () if found == result.layers else (f"{LAYERS} has {found} layers, and {result.layers} were measured",)
    return Verification(result.model_dump(mode="json"), faults)


def read(files: Path) -> tuple[Layer, ...]:
    """What the step left."""
    return _LAYERS.validate_json((files / LAYERS).read_bytes())


def keeping(build: BuildOptions, files: Path) -> OpenVINO:
    """The build with its share of weights in 4 bits as layers by name: those with the least harm for each weight that fit in."""
    assert isinstance(build, OpenVINO) and isinstance(build.quantization, Int4)
    options = build.quantization
    kept = out_of_four_bits(read(files), options.ratio)
    field = "ignored_scope" if options.backup_precision == "none" else "backup_scope"
    changes = {"ratio": 1.0, **({field: Scope(names=kept, patterns=(), types=())} if kept else {})}
    return build.model_copy(update={"quantization": options.model_copy(update=changes)})


def out_of_four_bits(layers: Sequence[Layer], ratio: float) -> tuple[str, ...]:
    """The nodes that do not get 4 bits where those that do may have at most this share of the weights."""
    room = ratio * sum(layer.weights for layer in layers)
    kept = []
    for layer in sorted(layers, key=lambda layer: (layer.harm / layer.weights, layer.node)):
        if layer.weights <= room:
            room -= layer.weights
        else:
            kept.append(layer.node)
    return tuple(sorted(kept))
