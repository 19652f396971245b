"""Checkpoints whose weights are quantized already: by which method, and what they are once they are dequantized. From headers alone.

Sources: the formats as their writers document them: GPTQ (GPTQModel, checkpoint_format gptq and gptq_v2), AWQ (AutoAWQ, version gemm),
FP8 in blocks (DeepSeek V3, transformers' FineGrainedFP8Config), MXFP4 (gpt-oss), compressed-tensors 0.20.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from bakehouse.errors import Failure
from bakehouse.formats.config_json import Config
from bakehouse.formats.safetensors_files import Tensor

SETTINGS = "quantization_config"
# The tensors that one quantized weight consists of, the packed integers first, by method; each follows the weight's name.
PARTS: Mapping[str, tuple[str, ...]] = {
    "gptq": ("qweight", "qzeros", "scales", "g_idx"),
    "awq": ("qweight", "qzeros", "scales"),
    "fp8": ("weight", "weight_scale_inv"),
    "mxfp4": ("blocks", "scales"),
    "compressed-tensors": ("weight_packed", "weight_scale", "weight_zero_point", "weight_shape", "weight_g_idx", "weight"),
}
_FORMATS = ("pack-quantized", "int-quantized", "float-quantized", "naive-quantized")  # of compressed-tensors
_ACTIVATIONS = ("input_scale", "input_zero_point", "output_scale", "k_scale", "v_scale")  # how to round what flows, not weights
_DTYPES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}
_BITS = {"gptq": (2, 4, 8), "awq": (4,)}
_WORD = 32  # bits of the integers that weights are packed in
_MX = 32  # values that share a scale


class Weight(NamedTuple):
    """A quantized weight: its name in the plain checkpoint, and its parts: what each is called, by its kind."""

    name: str
    parts: Mapping[str, Tensor]


def method(config: Config) -> str:
    """How a checkpoint's weights are quantized, as its config.json calls it; "" if they are not."""
    settings = config.get(SETTINGS)
    if not isinstance(settings, Mapping) or not settings:
        return "" if not settings else "unknown method"
    return str(settings.get("quant_method") or "unknown method")


def why_not(config: Config) -> str:
    """Why such weights are not dequantized here, in a few words; "" if they are."""
    settings, kind = config.get(SETTINGS), method(config)
    if kind not in PARTS or not isinstance(settings, Mapping):
        return f"{kind} is not dequantized here"
    if kind in _BITS and settings.get("bits", 4) not in _BITS[kind]:
        return f"{kind} with {settings.get('bits')} bits is not dequantized here"
    if kind == "awq" and str(settings.get("version", "gemm")).lower() != "gemm":
        return f"AWQ of version {settings.get('version')} is not dequantized here, gemm is"
    if kind == "compressed-tensors" and settings.get("format") not in _FORMATS:
        return f"compressed-tensors in the format {settings.get('format')} is not dequantized here"
    if kind == "compressed-tensors" and len(packed_bits(config)) != 1:
        return "compressed-tensors with weights of several widths is not dequantized here"
    return ""


def packed_bits(config: Config) -> set[int]:
    """The widths of the weights of compressed-tensors, in bits."""
    settings = config.get(SETTINGS)
    groups = settings.get("config_groups") if isinstance(settings, Mapping) else None
    schemes = [one.get("weights") for one in groups.values() if isinstance(one, Mapping)] if isinstance(groups, Mapping) else []
    return {bits for one in schemes if isinstance(one, Mapping) and isinstance(bits := one.get("num_bits"), int)}


def stored_as(config: Config) -> str:
    """What the plain weights are stored in, as safetensors calls it: the precision that config.json names, else BF16."""
    named = config.get("dtype") or config.get("torch_dtype")
    return _DTYPES.get(str(named), "BF16")


def weights(config: Config, tensors: Iterable[Tensor]) -> tuple[Weight, ...]:
    """The quantized weights of a checkpoint, in the order of their names."""
    kind, by_name = method(config), {tensor.name: tensor for tensor in tensors}
    found = []
    for name in by_name:
        stem, separator, last = name.rpartition("_" if kind == "mxfp4" else ".")
        if not separator or last != _first(kind, last):
            continue
        parts = {part: by_name[f"{stem}{separator}{part}"] for part in PARTS[kind] if f"{stem}{separator}{part}" in by_name}
        if len(parts) > 1:  # a plain weight has no scales next to it
            found.append(Weight(stem if kind == "mxfp4" else f"{stem}.weight", parts))
    return tuple(sorted(found))


def _first(kind: str, last: str) -> str:
    """The part by which a weight is found: compressed-tensors packs integers of fewer than 8 bits, and others it stores as they are."""
    return last if kind == "compressed-tensors" and last == "weight" else PARTS[kind][0]


def plain(config: Config, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The tensors of the checkpoint once it is dequantized, in the order of their names.

    Raises:
        Failure: the parts of a weight have shapes that the method does not give them.
    """
    quantized = weights(config, tensors)
    taken = {part.name for weight in quantized for part in weight.parts.values()}
    dtype = stored_as(config)
    made = [Tensor(weight.name, dtype, _shape(config, weight)) for weight in quantized]
    return tuple(sorted((*made, *(tensor for tensor in tensors if tensor.name not in taken and not _of_activations(tensor.name)))))


def plain_config(config: Config) -> dict[str, object]:
    """The config.json of the plain checkpoint."""
    return {name: value for name, value in config.items() if name not in (SETTINGS, "compression_config")}


def _of_activations(name: str) -> bool:
    return name.rpartition(".")[2] in _ACTIVATIONS


def _shape(config: Config, weight: Weight) -> tuple[int, ...]:
    try:
        return shape(config, weight.parts)
    except (LookupError, ValueError, ZeroDivisionError) as error:
        found = ", ".join(f"{part} {list(tensor.shape)}" for part, tensor in weight.parts.items())
        raise Failure(
            f"the parts of {weight.name} have shapes that {method(config)} does not give them: {found}",
            remedy="get the checkpoint again, or take the unquantized model that it was made from as the source",
        ) from error


def shape(config: Config, parts: Mapping[str, Tensor]) -> tuple[int, ...]:
    """The shape of the plain weight: rows are output channels, but for the experts of MXFP4, which transformers has the other way."""
    first = next(iter(parts.values())).shape
    match method(config):
        case "gptq":
            bits = _WORD * parts["qzeros"].shape[1] // parts["scales"].shape[1]  # both have a column for each output, zeros packed
            return (first[1], first[0] * _WORD // bits)
        case "awq":
            return (first[1] * _WORD // 4, first[0])
        case "mxfp4":
            experts, outputs, blocks, _ = first
            return (experts, blocks * _MX, outputs)
        case "compressed-tensors" if "weight_packed" in parts:
            return (first[0], first[1] * _WORD // max(packed_bits(config)))
        case _:
            return parts["weight"].shape
