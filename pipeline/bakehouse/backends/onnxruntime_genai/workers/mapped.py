"""Gives back the memory of mapped files that are read once: what stays resident is what is in use. It never changes what is read."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

_MADV_PAGEOUT = 21  # linux/mman-common.h; unlike MADV_DONTNEED it keeps pages that were written to


def release(folder: Path) -> None:
    """Drop the resident pages of all files in `folder` that this process has mapped; they are read again when touched. Linux only."""
    if sys.platform != "linux":
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in _mappings(folder):
        madvise(start, end - start, _MADV_PAGEOUT)  # a kernel before 5.4 refuses it, and then nothing is lost but the saving


def _mappings(folder: Path) -> Iterator[tuple[int, int]]:
    """Address ranges into which files below `folder` are mapped (proc(5), /proc/pid/maps)."""
    below = f"{folder.resolve()}/"
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith(below):
            start, _, end = fields[0].partition("-")
            yield int(start, 16), int(end, 16)
