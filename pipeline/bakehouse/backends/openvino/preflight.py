"""Whether a checkpoint and a build fit OpenVINO's tools, and what it will take: from config and shapes alone."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from bakehouse.backends.openvino import forms, parts
from bakehouse.backends.openvino import model_types as openvino_types
from bakehouse.backends.openvino.layer_names import layer_of, node_of
from bakehouse.backends.openvino.quantization import FourBit, Grouped, Mxfp4, Scope
from bakehouse.backends.openvino.seams import Compression, FloatSpec, FourBitSpec, compression
from bakehouse.formats import config_json, fields
from bakehouse.formats.checkpoint import Survey, Tensor
from bakehouse.formats.config_json import Config
from bakehouse.recipe.kinds import DEFAULT_TASK, BuildOptions
from bakehouse.steps.cost import Estimate
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation import fidelity as fidelities
from bakehouse.tasks.text_generation.reference_logits import compared_weights
from bakehouse.toolchains.table import INSTALLED, reading
from bakehouse.toolchains.table import Name as Toolchain

DTYPES = {"bfloat16": "bf16", "float16": "f16", "float32": "f32"}  # what can be exported, and what OpenVINO calls it
_SIZES = {"F32": 4, "F16": 2, "BF16": 2}
_WIDTHS = {"fp16": 2, "fp32": 4, "int8": 1}
_OUTER = re.compile(r"embed|wte|wpe|lm_head|embed_out|output\.weight")  # embeddings and the last MatMul
_AROUND = re.compile(r"vision_|visual|multi_modal_projector|embed_vision|^text_encoder/|^vae/")  # of models around the main one
_MXFP4_GROUP = 32
_BASE_BYTES = 800_000_000  # interpreter, torch, nncf and a tiny model: 0.4 to 0.6 GB measured


def model_types(task: str = DEFAULT_TASK) -> Mapping[str, tuple[Toolchain, ...]]:
    """Every model type that some toolchain exports for a task, with those that do."""
    return (forms.FORMS.get(task) or openvino_types).known()


def toolchains(config: Config, task: str = DEFAULT_TASK) -> tuple[Toolchain, ...]:
    """The toolchains with which optimum-intel exports such models for a task, the best first."""
    form = forms.FORMS.get(task)
    return reading(config, (form or openvino_types).works_with(config_json.kind(config)))


def preflight(build: BuildOptions, survey: Survey, toolchain: Toolchain = INSTALLED, task: str = DEFAULT_TASK) -> tuple[str, ...]:
    """Sentences, one for each reason why this build of this checkpoint cannot work with this toolchain."""
    reasons: list[str] = []
    form, works = forms.FORMS.get(task), toolchains(survey.config, task)
    tried = build.unknown_architecture == "try"
    if says := form.not_run.get(config_json.kind(survey.config)) if form else None:
        return (f"OpenVINO GenAI 2026.4 does not run such models, whoever exports them: it says {says!r}",)
    if toolchain not in works and not (tried and (form or not works)):
        reasons.append(openvino_types.why_not(config_json.kind(survey.config), task, toolchain, works))
    dtype = named_dtype(survey.config)
    if dtype and dtype not in DTYPES:
        reasons.append(f"config.json says that the weights are {dtype}; {', '.join(DTYPES)} can be exported")
    strange = sorted({tensor.dtype for tensor in survey.tensors} - _SIZES.keys() - {"I64", "I32", "BOOL", "U8"})
    if strange:
        reasons.append(f"the checkpoint has weights in {', '.join(strange)}; F32, F16 and BF16 can be exported")
    if form and not form.four_bits and isinstance(build.quantization, FourBit):
        reasons.append(f"models for {task} are made in floating point and in 8 bits: write `weights: int8`")
    inner = survey.tensors
    if form and form.around:
        inner = tuple(tensor for tensor in inner if not _AROUND.search(tensor.name))
        reasons += parts.why_not(build.quantization)
    return (*reasons, *_groups(build, inner), *_ratio(build, inner))


def named_dtype(config: Config) -> str | None:
    """The precision that a checkpoint's config.json names: "bfloat16"; None if it leaves that to the weights."""
    return fields.text(config, "dtype") or fields.text(config, "torch_dtype") or None


def _groups(build: BuildOptions, tensors: Iterable[Tensor]) -> tuple[str, ...]:
    """Whether the group size divides the channels, as far as that is certain beforehand.

    With a scope it is not: which tensors it names is known from the exported graph only. With a ratio below 1 the
    tensors that do not fit may all get the backup precision; it fails for certain when they are more than that takes.
    """
    options = build.quantization
    if not isinstance(options, Grouped | Mxfp4) or options.group_size_fallback != "error":
        return ()
    if options.ignored_scope is not None or options.backup_scope is not None:
        return ()
    size = options.group_size if isinstance(options, Grouped) else _MXFP4_GROUP
    defining = [tensor for tensor in tensors if len(tensor.shape) == 2 and (options.all_layers or not _OUTER.search(tensor.name))]
    wrong = [tensor for tensor in defining if tensor.shape[-1] % size]
    if size == -1 or not wrong:
        return ()
    total, largest = _count(defining), max(_count([tensor]) for tensor in defining)
    if options.ratio < 1.0 and _count(wrong) <= total * (1.0 - options.ratio) + largest:
        return ()
    first = f"{wrong[0].shape[-1]} in {wrong[0].name}" + (f" and {len(wrong) - 1} more" if len(wrong) > 1 else "")
    fits = math.gcd(*(tensor.shape[-1] for tensor in defining))
    remedy = f"; {fits & -fits} divides all" if isinstance(options, Grouped) and fits & -fits >= 16 else ""
    return (f"a group size of {size} does not divide every channel: {first}{remedy}",)


def _ratio(build: BuildOptions, tensors: Iterable[Tensor]) -> tuple[str, ...]:
    """Whether at least one matrix can have 4 bits: NNCF stops before their share exceeds the ratio."""
    options = build.quantization
    counts = [_count([tensor]) for tensor in tensors if len(tensor.shape) >= 2]
    least = min(counts, default=0) / max(1, sum(counts))
    if not isinstance(options, FourBit) or options.ratio >= least:
        return ()
    return (f"with ratio {options.ratio:g} no weight would get 4 bits: the smallest matrix is {least:.2g} of all",)


def estimate(step: Step, survey: Survey) -> Estimate:
    """What one step will take.

    Measured on the full Phi-3-mini shape (3.8e9 weights in bfloat16, 7.64 GB): export 8.4 GB, compress 10.6 GB resident, of
    which 7.6 are the mapped checkpoint and the mapped export. The formulas give that and a margin of base memory; on Linux all but
    about a gigabyte of what is mapped is released meanwhile (child/mapped.py).
    """
    survey = _exported(step, survey)
    mapped = native = sum(math.prod(tensor.shape) * _SIZES.get(tensor.dtype, 1) for tensor in survey.tensors)
    if fields.text(survey.config, "model_type") in openvino_types.WIDE:
        mapped, native = 0, 4 * survey.parameters
    match step.kind:
        case "export":
            return Estimate(native, native + _BASE_BYTES, mapped_bytes=mapped)
        case "tokenizer":
            return Estimate(40_000_000, _BASE_BYTES)
        case "compress":
            spec = compression(step)
            made = compressed_bytes(spec, survey)
            calibrated = 4 * survey.parameters if isinstance(spec, FourBitSpec) and spec.calibration else 0  # statistics are in float32
            streamed = isinstance(spec, FloatSpec)  # converted one weight at a time while saving
            return Estimate(made, native + (0 if streamed else made) + calibrated + _BASE_BYTES, mapped_bytes=native)
        case "numeric_check":
            return Estimate(0, 8 * compared_weights(survey) + 2 * _BASE_BYTES)
        case fidelities.KIND:
            return fidelities.estimate(survey, compressed_bytes(compression(step.need("model")), survey) + _BASE_BYTES)
        case "sensitivity":
            return Estimate(100_000, 4 * survey.parameters + _BASE_BYTES)
        case "validate":
            return Estimate(0, 2 * compressed_bytes(compression(step.need("model")), survey) + _BASE_BYTES)
        case _:
            return Estimate(0, 0)


def _exported(step: Step, survey: Survey) -> Survey:
    """The weights that an export has: those of an embedding twice where the last MatMul shares them, and a model of its own has it."""
    roles = {"export": (), "compress": ("export",), "validate": ("model", "export")}.get(step.kind)
    if roles is None:
        return survey
    for role in roles:
        step = step.need(role)
    form = forms.of(step.spec)
    if form is None or parts.TEXT not in form.components or any(tensor.name.endswith("lm_head.weight") for tensor in survey.tensors):
        return survey
    embedding = (tensor for tensor in survey.tensors if tensor.name.endswith("embed_tokens.weight"))
    return survey.model_copy(
        update={"tensors": (*survey.tensors, *(one.model_copy(update={"name": "lm_head.weight"}) for one in embedding))}
    )


def compressed_bytes(spec: Compression, survey: Survey) -> int:
    """How large openvino_model.bin will be: measured at most 1 % off on SmolLM2-135M, with groups of 32 to 128 and ratios from 0.6 on.

    The ratio counts the weights that may have 4 bits; which of them get the backup precision depends on their sensitivity.
    """
    if isinstance(spec, FloatSpec):
        return survey.parameters * _WIDTHS[spec.weights]
    matrices = [tensor for tensor in survey.tensors if len(tensor.shape) >= 2]
    left = sum(_native_bytes(tensor) for tensor in survey.tensors if len(tensor.shape) < 2)
    if not isinstance(spec, FourBitSpec):
        return round(left + sum(_int8_bytes(tensor, spec.symmetric) for tensor in matrices))
    outer = [tensor for tensor in matrices if _AROUND.search(tensor.name) or (_OUTER.search(tensor.name) and not spec.all_layers)]
    kept = [tensor for tensor in matrices if tensor not in outer and _named(tensor, spec.backup_scope)]
    inner = [tensor for tensor in matrices if tensor not in outer and tensor not in kept]
    four = spec.ratio * sum(_four_bit_bytes(tensor, spec) for tensor in inner)
    return round(left + four + _sum_backup([*outer, *kept], spec) + (1 - spec.ratio) * _sum_backup(inner, spec))


def _named(tensor: Tensor, scope: Scope | None) -> bool:
    """Whether a scope names the node of a linear layer, which torch's name of the layer tells: "__module.layers.0.q_proj/...MatMul"."""
    if scope is None:
        return False
    layer = tensor.name.removesuffix(".weight")
    return scope.holds("MatMul", (node_of(layer),)) or layer in map(layer_of, scope.names)


def _four_bit_bytes(tensor: Tensor, spec: FourBitSpec) -> float:
    """4 bits a weight; a group has a scale (float16, of mxfp4 one byte), and an asymmetric one a zero point of 4 bits."""
    count = _count([tensor])
    groups = count / (max(1, tensor.shape[-1]) if spec.group_size == -1 else spec.group_size)
    return count / 2 + groups * ((1 if spec.weights == "mxfp4" else 2) + (0.5 if spec.symmetric is False else 0))


def _int8_bytes(tensor: Tensor, symmetric: bool) -> float:
    """A byte a weight; a channel has a scale in float16, and an asymmetric one a zero point of a byte."""
    return _count([tensor]) + _count([tensor]) / max(1, tensor.shape[-1]) * (2 if symmetric else 3)


def _backup_bytes(tensor: Tensor, spec: FourBitSpec) -> float:
    return _native_bytes(tensor) if spec.backup_precision == "none" else _int8_bytes(tensor, spec.backup_precision == "int8_sym")


def _sum_backup(tensors: Iterable[Tensor], spec: FourBitSpec) -> float:
    return sum(_backup_bytes(tensor, spec) for tensor in tensors)


def _native_bytes(tensor: Tensor) -> int:
    return _count([tensor]) * _SIZES.get(tensor.dtype, 1)


def _count(tensors: Iterable[Tensor]) -> int:
    return sum(math.prod(tensor.shape) for tensor in tensors)
