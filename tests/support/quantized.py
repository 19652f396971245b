"""Writes tiny checkpoints whose weights are quantized, each format packed here once more, value by value, as its writer documents it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

OUTPUTS, INPUTS, GROUP = 64, 128, 32
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
FP4 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0)
WEIGHT = "model.layers.0.mlp.up_proj"
EXPERTS = "model.layers.0.mlp.experts.down_proj"

Tensors = dict[str, torch.Tensor]


def words(values: torch.Tensor, bits: int, order: Sequence[int] = ()) -> torch.Tensor:
    """Values packed into 32-bit words along the columns, the first in the lowest bits; `order`: which value of a word comes n-th."""
    count = 32 // bits
    made = torch.zeros(values.shape[0], values.shape[1] // count, dtype=torch.int64)
    for position, which in enumerate(order or range(count)):
        made |= values[:, which::count].long() << (bits * position)
    return torch.where(made < 2**31, made, made - 2**32).to(torch.int32)


def integers(bits: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Values and zeros (inputs by outputs, groups by outputs) and float16 scales."""
    torch.manual_seed(0)
    values = torch.randint(0, 2**bits, (INPUTS, OUTPUTS))
    zeros = torch.randint(1, 2**bits, (INPUTS // GROUP, OUTPUTS))
    return values, zeros, (torch.rand(INPUTS // GROUP, OUTPUTS) / 50 + 1e-3).half()


def by_hand(values: torch.Tensor, zeros: torch.Tensor, scales: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """The weight, outputs by inputs."""
    return ((values - zeros[group]).double() * scales.double()[group]).T


def gptq(bits: int = 4, *, act_order: bool = False, version: int = 1) -> tuple[dict[str, Any], Tensors, torch.Tensor]:
    values, zeros, scales = integers(bits)
    group = torch.arange(INPUTS) // GROUP
    group = group[torch.randperm(INPUTS)] if act_order else group
    parts = {
        "qweight": words(values.T, bits).T,
        "qzeros": words(zeros - int(version == 1), bits),
        "scales": scales,
        "g_idx": group.to(torch.int32),
    }
    settings = {"quant_method": "gptq", "bits": bits, "group_size": GROUP, "checkpoint_format": "gptq" if version == 1 else "gptq_v2"}
    return settings, {f"{WEIGHT}.{name}": tensor for name, tensor in parts.items()}, by_hand(values, zeros, scales, group)


def awq() -> tuple[dict[str, Any], Tensors, torch.Tensor]:
    values, zeros, scales = integers()
    parts = {"qweight": words(values, 4, AWQ_ORDER), "qzeros": words(zeros, 4, AWQ_ORDER), "scales": scales}
    settings = {"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm", "zero_point": True}
    made = by_hand(values, zeros, scales, torch.arange(INPUTS) // GROUP)
    return settings, {f"{WEIGHT}.{name}": tensor for name, tensor in parts.items()}, made


def fp8(block: tuple[int, int] = (48, 32)) -> tuple[dict[str, Any], Tensors, torch.Tensor]:
    torch.manual_seed(0)
    weight = torch.randn(OUTPUTS, INPUTS).to(torch.float8_e4m3fn)
    scale = torch.rand(-(-OUTPUTS // block[0]), -(-INPUTS // block[1])) / 50 + 1e-3
    made = torch.tensor(
        [
            [weight[row, column].double() * scale[row // block[0], column // block[1]].double() for column in range(INPUTS)]
            for row in range(OUTPUTS)
        ]
    )
    settings = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": list(block)}
    return settings, {f"{WEIGHT}.weight": weight, f"{WEIGHT}.weight_scale_inv": scale}, made


def mxfp4() -> tuple[dict[str, Any], Tensors, torch.Tensor]:
    torch.manual_seed(0)
    codes = torch.randint(0, 16, (2, OUTPUTS, INPUTS))
    exponents = torch.randint(120, 132, (2, OUTPUTS, INPUTS // 32), dtype=torch.uint8)
    blocks = (codes[..., 0::2] | codes[..., 1::2] << 4).to(torch.uint8).reshape(2, OUTPUTS, INPUTS // 32, 16)
    scales = (2.0 ** (exponents.double() - 127)).repeat_interleave(32, -1)
    made = (torch.tensor(FP4).double()[codes] * scales).transpose(1, 2)
    return {"quant_method": "mxfp4"}, {f"{EXPERTS}_blocks": blocks, f"{EXPERTS}_scales": exponents}, made


def compressed(form: str) -> tuple[dict[str, Any], Tensors, torch.Tensor]:
    """Of compressed-tensors: signed integers in groups, packed or not, or floating point with a scale for each output."""
    torch.manual_seed(0)
    bits, kind = {"pack-quantized": (4, "int"), "int-quantized": (8, "int"), "float-quantized": (8, "float")}[form]
    grouped = form == "pack-quantized"
    scales = (torch.rand(OUTPUTS, INPUTS // GROUP if grouped else 1) / 50 + 1e-3).bfloat16()
    wide = scales.double().repeat_interleave(GROUP if grouped else INPUTS, -1)
    if kind == "float":
        values = torch.randn(OUTPUTS, INPUTS).to(torch.float8_e4m3fn)
    else:
        values = torch.randint(-(2 ** (bits - 1)), 2 ** (bits - 1), (OUTPUTS, INPUTS), dtype=torch.int8)
    parts: Tensors = {"weight": values, "weight_scale": scales}
    if grouped:
        packed = {"weight_packed": words(values.int() + 8, 4), "weight_shape": torch.tensor([OUTPUTS, INPUTS])}
        parts = {"weight_scale": scales, **packed}
    weights = {"num_bits": bits, "type": kind, "symmetric": True, "strategy": "group" if grouped else "channel"}
    scheme = {"targets": ["Linear"], "weights": weights | ({"group_size": GROUP} if grouped else {})}
    settings = {"quant_method": "compressed-tensors", "format": form, "config_groups": {"group_0": scheme}, "ignore": ["lm_head"]}
    return settings, {f"{WEIGHT}.{name}": tensor for name, tensor in parts.items()}, values.double() * wide


def checkpoint(folder: Path, settings: dict[str, Any], tensors: Tensors, dtype: str = "bfloat16") -> Path:
    """A folder with these tensors, two plain ones, and what else a checkpoint has."""
    folder.mkdir(parents=True)
    others = {"model.norm.weight": torch.ones(INPUTS, dtype=getattr(torch, dtype)), f"{WEIGHT}.bias": torch.zeros(OUTPUTS)}
    save_file({name: tensor.contiguous() for name, tensor in (tensors | others).items()}, folder / "model.safetensors", {"format": "pt"})
    config = {"model_type": "llama", "torch_dtype": dtype, "quantization_config": settings}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    return folder
