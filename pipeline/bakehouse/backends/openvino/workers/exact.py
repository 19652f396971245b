"""Which 32-bit matrices of an exported model hold nothing that 16 bits could not: their values are the checkpoint's, stored wider.

optimum-intel 2.1 exports experts, weights that are transposed on the way, and position embeddings as f32 (its patches run in float32).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

_CHUNK = 1 << 22  # numbers looked at together: 16 MB


def wide(xml: Path, precision: str) -> list[str]:
    """Names of the f32 constants of two dimensions or more in which every number is one of `precision`, "bfloat16" or "float16"."""
    model = ov.Core().read_model(xml)
    return sorted(
        node.get_friendly_name()
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Constant"
        and node.get_element_type() == ov.Type.f32
        and sum(size > 1 for size in node.get_output_shape(0)) >= 2
        and exact(node.data.reshape(-1), precision)
    )


def exact(numbers: Any, precision: str) -> bool:
    """Whether rounding these float32 numbers to `precision` changes none of them."""
    return all(_same(numbers[at : at + _CHUNK], precision) for at in range(0, numbers.size, _CHUNK))


def _same(numbers: Any, precision: str) -> bool:
    if precision == "bfloat16":  # its numbers are those of float32 whose lower 16 bits are zero
        return not (np.ascontiguousarray(numbers).view(np.uint32) & 0xFFFF).any()
    with np.errstate(over="ignore"):
        return bool((numbers.astype(np.float16).astype(np.float32) == numbers).all())
