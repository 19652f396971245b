"""Reads where a compiled NPU model has its weights: NPUW's bank, the last part of a blob (weights_bank.cpp of OpenVINO's NPU plugin).

The bank has a name, then tensors by the device that they were allocated on. A weightless blob ends with the name. A tensor that did not
exist when the blob was written is in the list but has no bytes; OpenVINO refuses to load such a blob.
"""

from __future__ import annotations

import mmap
import re
import struct
from dataclasses import dataclass

_NUMBER = struct.Struct("<Q")
_NAME_LENGTH = 32
_NAME = re.compile(rb"[A-Za-z0-9]{32}")
_DEVICES = (b"CPU", b"NPU")


@dataclass(frozen=True)
class Tensor:
    """A weight's bytes in the blob."""

    start: int
    size_bytes: int


@dataclass(frozen=True)
class Bank:
    """The tensors that are present, and how many are listed without bytes."""

    tensors: tuple[Tensor, ...]
    empty: int


class _BreaksOff(ValueError):
    """What was read is not a complete bank."""


def read(data: mmap.mmap, after: int, *, weightless: bool) -> Bank | None:
    """The bank that begins after the position and ends with the file, or None."""
    end = len(data)
    if weightless:
        begins = end - _NAME_LENGTH - _NUMBER.size
        return Bank((), 0) if begins >= after and _name(data, begins) else None
    for device in _DEVICES:
        mark = _NUMBER.pack(len(device)) + device
        found = data.find(mark, after)
        while found != -1:
            begins = found - 2 * _NUMBER.size - _NAME_LENGTH  # the name with its length, and the number of devices
            if begins >= after and _name(data, begins) and (bank := _complete(data, found - _NUMBER.size)):
                return bank
            found = data.find(mark, found + 1)
    return None


def _name(data: mmap.mmap, at: int) -> bool:
    begins = at + _NUMBER.size
    return data[at:begins] == _NUMBER.pack(_NAME_LENGTH) and _NAME.fullmatch(data[begins : begins + _NAME_LENGTH]) is not None


def _complete(data: mmap.mmap, at: int) -> Bank | None:
    """The bank whose list of devices begins at the position, if it ends where the file does."""
    reader = _Reader(data, at)
    tensors: list[Tensor] = []
    empty = 0
    try:
        for _ in range(reader.number()):
            reader.text()  # the device
            for _ in range(reader.number()):
                reader.number()  # the tensor's number
                if tensor := reader.tensor():
                    tensors.append(tensor)
                else:
                    empty += 1
    except _BreaksOff:
        return None
    return Bank(tuple(tensors), empty) if reader.at == len(data) else None


class _Reader:
    """Goes through a blob as NPUW wrote it: a number has eight bytes, a text and a shape their length before them."""

    def __init__(self, data: mmap.mmap, at: int) -> None:
        self._data = data
        self.at = at

    def number(self) -> int:
        return int(_NUMBER.unpack(self._take(_NUMBER.size))[0])

    def text(self) -> bytes:
        return self._take(self.number())

    def tensor(self) -> Tensor | None:
        if self._take(1) == b"\0":
            return None
        self.text()  # the type
        for _ in range(self.number()):
            self.number()  # a dimension
        size = self.number()
        self._skip(size)
        return Tensor(self.at - size, size)

    def _take(self, size: int) -> bytes:
        self._skip(size)
        return self._data[self.at - size : self.at]

    def _skip(self, size: int) -> None:
        if size > len(self._data) - self.at:
            raise _BreaksOff
        self.at += size
