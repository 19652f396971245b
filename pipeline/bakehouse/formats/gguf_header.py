"""What a GGUF file has in its header, read without the `gguf` package.

The format is that of ggml's docs/gguf.md (version 2 and 3, little-endian).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

Metadata = Mapping[str, Any]  # the key-value pairs of a GGUF file: texts, numbers, truth values, and arrays of them

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_MOST_BYTES = 1 << 28  # of one text, or of the numbers in one array
_KEEP = 64  # elements of an array; the vocabulary is not needed here


class NotGGUF(Exception):
    """The file is not a GGUF that can be read; with the reason."""


def read(path: Path) -> Metadata:
    """The key-value pairs of the file; of an array no more than its first elements.

    Raises:
        NotGGUF: it has another magic number, is cut short, or is of another version.
    """
    with path.open("rb") as file:
        return read_from(file)


def read_from(file: IO[bytes]) -> Metadata:
    """The same of an open file, which may be elsewhere; no more of it is read than its header."""
    try:
        if file.read(4) != b"GGUF":
            raise NotGGUF("it does not begin with GGUF")
        version, _, pairs = struct.unpack("<IQQ", _take(file, 20))
        if version not in (2, 3):
            raise NotGGUF(f"its version is {version}; 2 and 3 can be read")
        return dict(_pair(file) for _ in range(pairs))
    except (struct.error, RecursionError) as error:
        raise NotGGUF("it ends in the middle of its header, or its header is damaged") from error


def _pair(file: IO[bytes]) -> tuple[str, Any]:
    name = _text(file)
    return name, _value(file, _number(file, "I"))


def _value(file: IO[bytes], kind: int) -> Any:
    if kind == _TEXT:
        return _text(file)
    if kind == _ARRAY:
        inner, count = _number(file, "I"), _number(file, "Q")
        kept = [_value(file, inner) for _ in range(min(count, _KEEP))]
        _pass(file, inner, count - len(kept))
        return kept
    if kind not in _NUMBERS:
        raise NotGGUF(f"it has a value of the unknown type {kind}")
    return _number(file, _NUMBERS[kind])


def _pass(file: IO[bytes], kind: int, count: int) -> None:
    """Skip `count` values."""
    if kind in _NUMBERS:
        _skip(file, struct.calcsize(f"<{_NUMBERS[kind]}") * count)
        return
    for _ in range(count):
        if kind == _TEXT:
            _skip(file, _number(file, "Q"))
        else:
            _value(file, kind)


def _skip(file: IO[bytes], size: int) -> None:
    if size > _MOST_BYTES:
        raise NotGGUF("its header is damaged")
    file.seek(size, 1)


def _number(file: IO[bytes], kind: str) -> Any:
    return struct.unpack(f"<{kind}", _take(file, struct.calcsize(f"<{kind}")))[0]


def _text(file: IO[bytes]) -> str:
    return _take(file, _number(file, "Q")).decode("utf-8", errors="replace")


def _take(file: IO[bytes], size: int) -> bytes:
    if size > _MOST_BYTES:
        raise NotGGUF("its header is damaged")
    return file.read(size)
