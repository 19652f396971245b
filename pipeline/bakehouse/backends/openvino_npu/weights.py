"""Whether a compiled NPU model holds the weights of the IR that it was made from, byte for byte."""

from __future__ import annotations

import mmap
import struct
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from bakehouse.formats import openvino_ir
from bakehouse.formats.npu_bank import Bank, Tensor

MODEL = "openvino_model"
_SAMPLE_BYTES = 64


@dataclass(frozen=True)
class _Constant:
    """Where a constant lies in the model's .bin, and its shape."""

    start: int
    size_bytes: int
    shape: tuple[int, ...]


def absent(ir: Path, blob: Path, bank: Bank) -> tuple[str, ...]:
    """Names of the IR's matrices that are not in the blob, in the model's order.

    NPUW puts a matrix in the bank as the IR has it, or with its groups in another order; that of a graph which stands alone, as the last
    layer does, lies next to the graph instead. A large embedding in int8, which the CPU looks up, is there as its meaning, in float16.
    """
    constants = _constants(ir / f"{MODEL}.xml")
    names = [weight.name for weight in openvino_ir.read(ir / f"{MODEL}.xml").weights]
    with (
        (ir / f"{MODEL}.bin").open("rb") as weights,
        blob.open("rb") as compiled,
        mmap.mmap(weights.fileno(), 0, access=mmap.ACCESS_READ) as stored,
        mmap.mmap(compiled.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        search = _Search(data, bank)

        def is_there(name: str) -> bool:
            place, scales = constants[name], constants.get(f"{name}/scale")
            matrix = _of(stored, place)
            return search.holds(matrix, place.shape) or (scales is not None and search.holds_meaning(matrix, _of(stored, scales)))

        return tuple(name for name in names if not is_there(name))


def _constants(xml: Path) -> dict[str, _Constant]:
    found = {}
    for _, element in ElementTree.iterparse(xml):
        if element.tag == "layer" and element.get("type") == "Const" and (data := element.find("data")) is not None:
            shape = tuple(int(size) for size in data.attrib["shape"].split(",") if size.strip())
            found[element.attrib["name"]] = _Constant(int(data.attrib["offset"]), int(data.attrib["size"]), shape)
    return found


def _of(data: mmap.mmap, place: _Constant | Tensor) -> bytes:
    return data[place.start : place.start + place.size_bytes]


def _by_group(matrix: bytes, rows: int, groups: int) -> bytes:
    """A matrix of rows of groups as NPUW turns it: the first group of all rows, then the second of all."""
    size = len(matrix) // (rows * groups)
    view = memoryview(matrix)
    return b"".join(view[at : at + size] for group in range(groups) for at in range(group * size, len(matrix), groups * size))


def _meaning(row: bytes, scale: float) -> bytes:
    """Signed bytes times a scale in float16, rounded to nearest: a product of 8 and 11 bits is exact before that."""
    values = struct.pack("<256e", *(scale * (byte - 256 if byte > 127 else byte) for byte in range(256)))
    made = bytearray(2 * len(row))
    made[0::2], made[1::2] = row.translate(values[0::2]), row.translate(values[1::2])
    return bytes(made)


class _Search:
    """Finds a matrix in a blob: a tensor of its size that begins alike is compared in full, and without one all of the blob is searched."""

    def __init__(self, data: mmap.mmap, bank: Bank) -> None:
        self._data, self._bank = data, bank
        self._alike: dict[tuple[int, bytes], list[Tensor]] = defaultdict(list)
        for tensor in bank.tensors:
            sample = data[tensor.start : tensor.start + min(_SAMPLE_BYTES, tensor.size_bytes)]
            self._alike[tensor.size_bytes, sample].append(tensor)

    def holds(self, matrix: bytes, shape: tuple[int, ...]) -> bool:
        alike = [_of(self._data, tensor) for tensor in self._alike.get((len(matrix), matrix[:_SAMPLE_BYTES]), ())]
        if matrix in alike or (alike and len(shape) == 3 and _by_group(matrix, *shape[:2]) in alike):
            return True
        return self._data.find(matrix) != -1

    def holds_meaning(self, matrix: bytes, scales: bytes) -> bool:
        """Whether a tensor is an int8 matrix times its scales (float16, one a row), in float16."""
        rows = len(scales) // 2
        if not rows or len(matrix) % rows:
            return False
        width, each = len(matrix) // rows, struct.unpack(f"<{rows}e", scales)
        alike = [tensor.start for tensor in self._bank.tensors if tensor.size_bytes == 2 * len(matrix)]
        for row, scale in enumerate(each):
            meant = _meaning(matrix[row * width : (row + 1) * width], scale)
            alike = [start for start in alike if self._data[start + 2 * row * width : start + 2 * (row + 1) * width] == meant]
            if not alike:
                return False
        return True
