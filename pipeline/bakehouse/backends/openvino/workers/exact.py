"""Which 32-bit matrices of an exported model hold the checkpoint's own numbers, stored wider than in the checkpoint.

optimum-intel 2.1 exports experts, weights that are transposed on the way, and position embeddings as f32 (its patches run in float32).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

_CHUNK = 1 << 22  # numbers looked at together: 16 MB
_PATTERNS = 1 << 16


def wide(xml: Path, precision: str, checkpoint: Path, buffers: list[Any]) -> list[str]:
    """Names of the f32 constants of two dimensions or more that are the source's.

    Each number is one of `precision`, "bfloat16" or "float16", and the checkpoint has it as often: in which order, and whether as one
    tensor, is upstream's choice, and shows in the numeric check. Or it is one of the `buffers` that the model computes in float32.
    """
    model = ov.Core().read_model(xml)
    found = [
        node
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Constant"
        and node.get_element_type() == ov.Type.f32
        and sum(size > 1 for size in node.get_output_shape(0)) >= 2
    ]
    if not found:
        return []
    computed = [buffer.detach().numpy() for buffer in buffers if str(buffer.dtype) == "torch.float32"]
    present = _counted(checkpoint, precision, buffers)
    return sorted(node.get_friendly_name() for node in found if is_source(node.data, precision, present, computed))


def is_source(numbers: Any, precision: str, present: Any, computed: list[Any]) -> bool:
    """Whether these float32 numbers are the source's; `present` has how often it has each of 16 bits, see `counts`."""
    if any(one.shape == numbers.shape and np.array_equal(one, numbers) for one in computed):
        return True
    flat = numbers.reshape(-1)
    return exact(flat, precision) and bool((counts(_parts(flat, precision)) <= present).all())


def _counted(checkpoint: Path, precision: str, buffers: list[Any]) -> Any:
    """How often the checkpoint and the model's buffers have each number of 16 bits."""
    import torch
    from safetensors import safe_open

    kind = getattr(torch, precision)

    def bits() -> Iterator[Any]:
        for path in sorted(checkpoint.rglob("*.safetensors")):
            with safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]
                for name in file.keys():  # noqa: SIM118  it is not a dictionary
                    yield file.get_tensor(name)
        yield from buffers

    floats = (tensor for tensor in bits() if tensor.is_floating_point())
    return counts(tensor.detach().to(kind).contiguous().view(torch.int16).numpy().reshape(-1).view(np.uint16) for tensor in floats)


def counts(parts: Iterator[Any]) -> Any:
    """How often each pattern of 16 bits is in these arrays together."""
    found: Any = np.zeros(_PATTERNS, np.int64)
    for part in parts:
        found += np.bincount(part, minlength=_PATTERNS)
    return found


def _parts(numbers: Any, precision: str) -> Iterator[Any]:
    """Float32 numbers that are exact in `precision`, as patterns of 16 bits, some at a time."""
    for at in range(0, numbers.size, _CHUNK):
        part = np.ascontiguousarray(numbers[at : at + _CHUNK])
        yield (part.view(np.uint32) >> 16).astype(np.uint16) if precision == "bfloat16" else part.astype(np.float16).view(np.uint16)


def exact(numbers: Any, precision: str) -> bool:
    """Whether rounding these float32 numbers to `precision` changes none of them."""
    return all(_same(numbers[at : at + _CHUNK], precision) for at in range(0, numbers.size, _CHUNK))


def _same(numbers: Any, precision: str) -> bool:
    if precision == "bfloat16":  # its numbers are those of float32 whose lower 16 bits are zero
        return not (np.ascontiguousarray(numbers).view(np.uint32) & 0xFFFF).any()
    with np.errstate(over="ignore"):
        return bool((numbers.astype(np.float16).astype(np.float32) == numbers).all())
