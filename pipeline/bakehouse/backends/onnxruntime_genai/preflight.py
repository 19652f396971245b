"""Whether a checkpoint and a build fit the model builder, and what it will take: from config and shapes alone."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping

from bakehouse.backends.base import Room
from bakehouse.backends.onnxruntime_genai import attention as ort_attention
from bakehouse.backends.onnxruntime_genai import layer_names, speech_preflight
from bakehouse.backends.onnxruntime_genai.memory import KEPT_BYTES, TOGETHER
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.onnxruntime_genai.quantization import MatMulNBits, OrtFloat, OrtInt4, embeds_in_four_bits
from bakehouse.backends.onnxruntime_genai.seams import BuildSpec, SpeechSpec
from bakehouse.backends.onnxruntime_genai.workers import plan as ort_plan
from bakehouse.child import mapped
from bakehouse.formats import fields
from bakehouse.formats.checkpoint import Survey, Tensor
from bakehouse.formats.config_json import Config
from bakehouse.recipe.kinds import DEFAULT_TASK, BuildOptions
from bakehouse.steps.cost import Estimate
from bakehouse.steps.step import Step
from bakehouse.tasks.speech.golden import TASK as SPEECH
from bakehouse.tasks.text_generation import fidelity as fidelities
from bakehouse.tasks.text_generation import weight_names
from bakehouse.tasks.text_generation.reference_logits import compared_weights
from bakehouse.toolchains.table import INSTALLED, reading, why_not
from bakehouse.toolchains.table import Name as Toolchain

# Decoders that builder.py of onnxruntime-genai 0.18.0 dispatches on (held by a test), by itself or as `plan.ALIKE` has it, and whose
# graphs `verify` can judge.
ARCHITECTURES = frozenset(
    {
        "Ernie4_5ForCausalLM",
        "GemmaForCausalLM",
        "Gemma2ForCausalLM",
        "Gemma3ForCausalLM",
        "GptOssForCausalLM",
        "GraniteForCausalLM",
        "HunYuanDenseV1ForCausalLM",
        "Lfm2ForCausalLM",
        "Lfm2MoeForCausalLM",
        "LlamaForCausalLM",
        "MinistralForCausalLM",
        "MistralForCausalLM",
        "NemotronForCausalLM",
        "OlmoForCausalLM",
        "PhiForCausalLM",
        "Phi3ForCausalLM",
        "Qwen2ForCausalLM",
        "Qwen3ForCausalLM",
        "SeedOssForCausalLM",
        "SmolLM3ForCausalLM",
    }
)
# Its modules import Qwen3_5ForConditionalGeneration, which transformers 5.0 and 4.57 do not have.
_COMMON: tuple[Toolchain, ...] = (INSTALLED, "transformers-5.2")
# Their model types, as transformers names them (held by a test).
TYPES: Mapping[str, str] = {
    "ernie4_5": "Ernie4_5ForCausalLM",
    "gemma": "GemmaForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "gpt_oss": "GptOssForCausalLM",
    "granite": "GraniteForCausalLM",
    "hunyuan_v1_dense": "HunYuanDenseV1ForCausalLM",
    "lfm2": "Lfm2ForCausalLM",
    "lfm2_moe": "Lfm2MoeForCausalLM",
    "llama": "LlamaForCausalLM",
    "ministral": "MinistralForCausalLM",
    "mistral": "MistralForCausalLM",
    "nemotron": "NemotronForCausalLM",
    "olmo": "OlmoForCausalLM",
    "phi": "PhiForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "seed_oss": "SeedOssForCausalLM",
    "smollm3": "SmolLM3ForCausalLM",
}
EXPERTS = frozenset({"GptOssForCausalLM", "Lfm2MoeForCausalLM"})  # of which ONNX Runtime has one operator a layer
_SIZES = {"F32": 4, "F16": 2, "BF16": 2}
_WIDTHS = {"fp32": 4.0, "fp16": 2.0, "bf16": 2.0, "int8": 1.0, "int4": 0.5}
_SENSITIVE = re.compile(r"\b(q_proj|k_proj|v_proj|qkv_proj|down_proj)\b")
_BASE_BYTES = 1_200_000_000  # interpreter, torch, transformers, the builder and a tiny model


def toolchains(config: Config, task: str = DEFAULT_TASK) -> tuple[Toolchain, ...]:
    """The toolchains with which the builder makes such models, the best first."""
    kind = next(iter(fields.texts(config, "architectures")), "")
    if task == SPEECH:
        return reading(config, (INSTALLED,) if kind == speech_preflight.ARCHITECTURE else ())
    return reading(config, _COMMON if kind in ARCHITECTURES and task == DEFAULT_TASK else ())


def model_types(task: str = DEFAULT_TASK) -> Mapping[str, tuple[Toolchain, ...]]:
    """Every model type that the builder makes, with the toolchains with which it does."""
    if task == SPEECH:
        return {speech_preflight.MODEL_TYPE: (INSTALLED,)}
    return dict.fromkeys(TYPES, _COMMON) if task == DEFAULT_TASK else {}


def preflight(build: BuildOptions, survey: Survey, toolchain: Toolchain = INSTALLED, task: str = DEFAULT_TASK) -> tuple[str, ...]:
    """Sentences, one for each reason why this build of this checkpoint cannot work with this toolchain."""
    assert isinstance(build, OnnxRuntimeGenAI)
    if task == SPEECH:
        return tuple(speech_preflight.reasons(build, survey, toolchain))
    config, requested = survey.config, build.quantization
    reasons = []
    kind = next(iter(fields.texts(config, "architectures")), "unknown")
    if works := toolchains(config):
        if toolchain not in works:
            reasons.append(why_not(toolchain, works, "the model builder of onnxruntime-genai 0.18", f"a {kind}"))
    elif build.unknown_architecture != "try":
        reasons.append(
            f"no {kind} of the model builder of onnxruntime-genai 0.18 has been shown to work; "
            "with `unknown_architecture: try` the build tries it"
        )
    if build.proven_on == "provider" and build.execution_provider == "dml" and sys.platform != "win32":
        reasons.append("proven_on: provider needs a machine that has DirectML, which only Windows has")
    reasons += [*ort_attention.strange_heads(kind, config, build), *ort_attention.layers_without_rope(kind, config, build)]
    reasons += ort_plan.reasons(config)
    if kind in EXPERTS and not isinstance(requested, OrtFloat):
        reasons.append(f"the experts of a {kind} that the model builder quantizes cannot be verified here: write weights fp32 or fp16")
    ties = weight_names.ties(config)
    if isinstance(requested, OrtFloat | OrtInt4) and requested.shared_embeddings and not ties:
        reasons.append("shared_embeddings needs a model whose embedding and last MatMul are one matrix, and in this one they are two")
    if (
        isinstance(requested, OrtInt4)
        and embeds_in_four_bits(requested)
        and ties
        and requested.shareable
        and requested.shared_embeddings is None
    ):
        reasons.append("the embedding has the last MatMul's weights in this model, so Gather in op_types_to_quantize would change nothing")
    unknown = sorted({tensor.dtype for tensor in survey.tensors} - _SIZES.keys() - {"I64", "I32", "BOOL", "U8"})
    if unknown:
        reasons.append(f"the checkpoint has tensors of type {', '.join(unknown)}")
    return tuple(reasons)


def room_for(build: BuildOptions, config: Config) -> Room | None:
    """The runtime refuses every max_length beyond the context that genai_config.json claims."""
    assert isinstance(build, OnnxRuntimeGenAI)
    planned = ort_plan.plan(config, build)
    remedy = "shorten it, or give it a smaller max_new_tokens"
    return None if planned.context is None else Room(planned.context, remedy, reason=planned.cut_reason)


def estimate(step: Step, survey: Survey) -> Estimate:
    """What one step will take."""
    match step.kind:
        case "compress":
            return _of_a_build(step.spec_as(BuildSpec), survey)
        case "numeric_check":
            return Estimate(0, 8 * compared_weights(survey) + 2 * _BASE_BYTES)
        case fidelities.KIND:
            return fidelities.estimate(survey, 2 * made_bytes(step.need("model").spec_as(BuildSpec), survey) + _BASE_BYTES)
        case "sensitivity":
            return Estimate(100_000, 4 * survey.parameters + _BASE_BYTES)
        case "validate":
            return Estimate(0, 2 * made_bytes(step.need("model").spec_as(BuildSpec), survey) + _BASE_BYTES)
        case _:
            return Estimate(0, 0)


def _of_a_build(spec: BuildSpec, survey: Survey) -> Estimate:
    """The largest matrix is held in the checkpoint's type and in the io type; of what is quantized, no more than `memory` says."""
    made = made_bytes(spec, survey)
    largest = max((math.prod(tensor.shape) for tensor in survey.tensors), default=0)
    pages = mapped.held_bytes(2 * survey.parameters)
    held = 8 * largest + pages + _BASE_BYTES
    if not isinstance(spec.quantization, MatMulNBits):
        return Estimate(made, held, pages)
    at_once = min(largest, TOGETHER) if _is_in_parts(spec.quantization) else largest
    return Estimate(made, held + min(made, KEPT_BYTES) + 40 * at_once, pages, scratch_bytes=max(0, made - KEPT_BYTES))


def _is_in_parts(requested: MatMulNBits) -> bool:
    return not isinstance(requested, OrtInt4) or not (requested.use_qdq or embeds_in_four_bits(requested))


def made_bytes(spec: BuildSpec, survey: Survey) -> int:
    """How large model.onnx.data will be: measured at most 2 % off on SmolLM2-135M, int4 in blocks of 32 and 128.

    What is not quantized has the io type. A tied embedding is the last MatMul's, if that can serve as both; else there are two.
    """
    if isinstance(spec, SpeechSpec):
        return speech_preflight.made_bytes(spec, survey)
    requested = spec.quantization
    if not isinstance(requested, MatMulNBits):
        return round(survey.parameters * _WIDTHS[requested.weights])
    io = 4 if spec.in_fp32 else 2
    matrices = [tensor for tensor in survey.tensors if len(tensor.shape) >= 2]
    embeddings = [tensor for tensor in matrices if "embed" in tensor.name]
    gathers = embeds_in_four_bits(requested)
    shared = isinstance(requested, OrtInt4) and requested.shareable and requested.shared_embeddings is not False
    made = float(io * (survey.parameters - _weights(matrices)) + _rotary_bytes(spec, survey.config, io))
    for tensor in matrices:
        tied = tensor in embeddings and weight_names.ties(survey.config)
        if tensor not in embeddings or tied or gathers:
            made += requested.block_bytes(tensor.shape, io, _bytes_per_weight(tensor, requested, last=tied or "lm_head" in tensor.name))
        if tensor in embeddings and not (gathers or (tied and shared)):
            made += io * _weights([tensor])
    return round(made)


def _bytes_per_weight(tensor: Tensor, requested: MatMulNBits, *, last: bool) -> float:
    """Of the layers that llama.cpp finds sensitive there are half: an eighth at each end, and a third of the others."""
    mixed = requested.matmul_mixed_precision if isinstance(requested, OrtInt4) else None
    if mixed and mixed.last_matmul and last:
        return 1.0
    if isinstance(requested, OrtInt4) and not last:
        in_8_bits = layer_names.share(tensor.name, requested.int8_nodes) if requested.int8_nodes else 1 - requested.ratio
        if in_8_bits:
            return 0.5 + 0.5 * in_8_bits
    width = 0.5 if isinstance(requested, OrtInt4) else 1.0
    return 0.75 if mixed and mixed.mixed_layers and _SENSITIVE.search(tensor.name) else width


def _rotary_bytes(spec: BuildSpec, config: Config, io: int) -> int:
    """The tables of cosines and sines: a row of half a head for each position."""
    heads, hidden = fields.integer(config, "num_attention_heads") or 1, fields.integer(config, "hidden_size") or 0
    head = fields.integer(config, "head_dim") or hidden // heads
    return (ort_plan.plan(config, spec).context or 0) * head * io


def _weights(tensors: Iterable[Tensor]) -> int:
    return sum(math.prod(tensor.shape) for tensor in tensors)
