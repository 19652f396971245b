"""The values of quantized weights: integers times scales, in float32, rounded once to the precision that the checkpoint names.

The formats of GPTQ, AWQ and FP8 are read here: transformers 5.5.4 reads them through libraries that need a GPU's compiler (GPTQModel,
Triton), also where it only dequantizes. MXFP4 is transformers' own function, and compressed-tensors its own library.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from bakehouse.formats import quantized
from bakehouse.formats.config_json import Config

Parts = Mapping[str, torch.Tensor]
Dequantize = Callable[[str, Parts, tuple[int, ...]], torch.Tensor]

_STORED = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}
_AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)  # where the n-th value of a word lies in it: AutoAWQ packs 0, 2, 4, 6, 1, 3, 5, 7


def of(config: Config) -> Dequantize:
    """The function that gives a weight of this checkpoint by its name, its parts and its plain shape."""
    stored = _STORED[quantized.stored_as(config)]
    settings: Any = config[quantized.SETTINGS]
    match quantized.method(config):
        case "gptq":
            offset = 0 if settings.get("checkpoint_format") == "gptq_v2" else 1  # the first version stores a zero less one
            return lambda name, parts, shape: gptq(parts, shape, offset).to(stored)
        case "awq":
            return lambda name, parts, shape: awq(parts).to(stored)
        case "fp8":
            return lambda name, parts, shape: fp8(parts, settings.get("weight_block_size") or (128, 128)).to(stored)
        case "mxfp4":
            return lambda name, parts, shape: mxfp4(parts).to(stored)
        case "compressed-tensors":
            return lambda name, parts, shape: compressed(settings, name, parts, shape).to(stored)
    raise ValueError(quantized.why_not(config))


def unpacked(words: torch.Tensor, bits: int) -> torch.Tensor:
    """The unsigned values in the columns of 32-bit words, lowest bits first: [rows, columns] to [rows, columns * 32 / bits]."""
    shifts = torch.arange(0, 32, bits, dtype=torch.int32)
    values = (words.unsqueeze(-1) >> shifts) & (2**bits - 1)
    return values.reshape(words.shape[0], -1)


def gptq(parts: Parts, shape: tuple[int, ...], zero_offset: int) -> torch.Tensor:
    """A weight of GPTQ: words run along the inputs, `g_idx` names the group of each input."""
    outputs, inputs = shape
    bits = 32 * parts["qweight"].shape[0] // inputs
    values = unpacked(parts["qweight"].T.contiguous(), bits).T
    zeros = unpacked(parts["qzeros"], bits)[:, :outputs] + zero_offset
    groups = len(parts["scales"])
    group = parts["g_idx"].long() if "g_idx" in parts else torch.arange(inputs) // -(-inputs // groups)
    return ((values - zeros[group]).float() * parts["scales"].float()[group]).T


def awq(parts: Parts) -> torch.Tensor:
    """A weight of AWQ (gemm): words run along the outputs, in an order of their own."""
    values, zeros = _in_order(parts["qweight"]), _in_order(parts["qzeros"])
    groups = len(parts["scales"])
    group = torch.arange(len(values)) // (len(values) // groups)
    return ((values - zeros[group]).float() * parts["scales"].float()[group]).T


def _in_order(words: torch.Tensor) -> torch.Tensor:
    values = unpacked(words, 4)
    return values.reshape(len(values), -1, 8)[:, :, list(_AWQ_ORDER)].reshape(len(values), -1)


def fp8(parts: Parts, block: tuple[int, int]) -> torch.Tensor:
    """A weight in 8-bit floating point with a scale for each block of rows and columns; those at the edges may be smaller."""
    weight, scale = parts["weight"].float(), parts["weight_scale_inv"].float()
    if scale.ndim < 2:
        return weight * scale
    rows, columns = block
    wide = scale.repeat_interleave(rows, -2)[..., : weight.shape[-2], :].repeat_interleave(columns, -1)[..., : weight.shape[-1]]
    return weight * wide


def mxfp4(parts: Parts) -> torch.Tensor:
    """Weights of experts in 4-bit floating point, 32 values to a power of two: bfloat16 holds them exactly."""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    made: torch.Tensor = convert_moe_packed_tensors(parts["blocks"], parts["scales"])
    return made


def compressed(settings: Mapping[str, Any], name: str, parts: Parts, shape: tuple[int, ...]) -> torch.Tensor:
    """A weight of compressed-tensors, by its library, from float32 scales."""
    from compressed_tensors.compressors import BaseCompressor

    state = {part: tensor.float() if part == "weight_scale" else tensor for part, tensor in parts.items()}
    state.setdefault("weight_shape", torch.tensor(shape))
    compressor = BaseCompressor.get_value_from_registry(settings["format"])
    made: torch.Tensor = compressor.decompress(state, _scheme(settings, name))["weight"]
    return made


def _scheme(settings: Mapping[str, Any], name: str) -> Any:
    """The scheme of the group whose targets name a weight: by a regular expression (`re:`), else by its kind of layer."""
    from compressed_tensors.quantization import QuantizationScheme

    groups, module = list(settings["config_groups"].values()), name.removesuffix(".weight")
    matching = [one for one in groups if any(target.startswith("re:") and re.match(target[3:], module) for target in one["targets"])]
    return QuantizationScheme.model_validate((matching or groups)[0])
