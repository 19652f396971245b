"""Which layers of a model get 8 bits, by what each of them costs in 4: measured once for a checkpoint and a way of rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.onnxruntime_genai.quantization import OrtInt4
from bakehouse.backends.onnxruntime_genai.seams import SensitivityRequest, SensitivitySpec
from bakehouse.recipe.kinds import BuildOptions
from bakehouse.steps.cost import installed
from bakehouse.steps.maker import Command, worker
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation import layers
from bakehouse.tasks.text_generation.seams import FidelityReferenceSpec

TOOLS = ("numpy", "onnx", "onnxruntime", "torch", "transformers")


def sensitivity(build: BuildOptions, reference: Step, label: str, all_in_4_bits: Callable[[OnnxRuntimeGenAI], Step]) -> Step | None:
    """The step that measures the layers as the build with all of them in 4 bits has them; None for a build that has nothing to rank."""
    assert isinstance(build, OnnxRuntimeGenAI)
    options = build.quantization
    if not isinstance(options, OrtInt4) or options.ratio == 1.0:
        return None
    model = all_in_4_bits(build.model_copy(update={"quantization": options.model_copy(update={"ratio": 1.0})}))
    source = reference.spec_as(FidelityReferenceSpec)
    spec = SensitivitySpec(windows=layers.WINDOWS, float32_below=source.float32_below, remote_code=source.remote_code)
    needs = (("checkpoint", reference.need("checkpoint")), ("model", model), ("reference", reference))
    return Step(kind="sensitivity", maker="onnxruntime-genai", label=label, spec=spec, needs=needs, tools=installed(*TOOLS))


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that makes it."""
    request = SensitivityRequest(
        checkpoint=inputs["checkpoint"],
        model=inputs["model"],
        reference=inputs["reference"],
        files=files,
        options=step.spec_as(SensitivitySpec),
    )
    return worker("backends.onnxruntime_genai.workers.sensitivity", request=request)


def keeping(build: BuildOptions, files: Path) -> OnnxRuntimeGenAI:
    """The build with its share of weights in 4 bits as layers by name: those with the least harm for each weight that fit in."""
    assert isinstance(build, OnnxRuntimeGenAI) and isinstance(build.quantization, OrtInt4)
    options = build.quantization
    names = layers.out_of_four_bits(layers.read(files), options.ratio)
    return build.model_copy(update={"quantization": options.model_copy(update={"ratio": 1.0, "int8_nodes": names})})
