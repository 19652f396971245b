"""Gives back the memory of mapped files: what stays resident is what is in use. It never changes what is read. Linux only.

The system keeps such pages in its cache, and reads them from the disk only if it needed the room meanwhile.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ONCE_BYTES = 1 << 30  # what may stay of files that are read about once, from beginning to end
AGAIN_BYTES = 4 << 30  # of files that are read again and again
_EVERY_S = 0.02
_MADV_DONTNEED, _MADV_PAGEOUT = 4, 21  # linux/mman-common.h


@dataclass
class Mapping:
    """Addresses into which a file is mapped; `written`: some of its pages are no longer the file's."""

    start: int
    end: int
    written: bool = False


def release(*folders: Path) -> None:
    """Drop the resident pages of all files below `folders` that this process has mapped; they are read again when touched.

    A mapping that was written to keeps those pages. Nothing may write to one while this runs.
    """
    if sys.platform != "linux":
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for found in mappings(*folders):
        # MADV_PAGEOUT drops no page that was written to, but the system's cache of the file too; before Linux 5.4 it does nothing.
        madvise(found.start, found.end - found.start, _MADV_PAGEOUT if found.written else _MADV_DONTNEED)


def mappings(*folders: Path) -> list[Mapping]:
    """Where files below `folders` are mapped (proc(5), /proc/pid/smaps)."""
    below = tuple(f"{folder.resolve()}/" for folder in folders)
    made: list[Mapping] = []
    ours = False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):  # "7f00-7fff r--p 00000000 fe:00 2603 /folder/file"; a field is "Anonymous:  0 kB"
            fields = rest.split(maxsplit=4)
            ours = len(fields) == 5 and fields[4].startswith(below)
            if ours:
                start, _, end = name.partition("-")
                made.append(Mapping(int(start, 16), int(end, 16)))
        elif ours and name == "Anonymous:":
            made[-1].written = rest.split() != ["0", "kB"]
    return made


def releasing(*folders: Path, most_bytes: int = ONCE_BYTES) -> Callable[[], None]:
    """A function that releases the files below `folders` if, since now, more than `most_bytes` of files have become resident."""
    if sys.platform != "linux":
        return lambda: None
    most = _resident_bytes() + most_bytes

    def release_if_many() -> None:
        if _resident_bytes() > most:
            release(*folders)

    return release_if_many


def held_bytes(size: int, most_bytes: int = ONCE_BYTES) -> int:
    """About how much of mapped files of this size stays resident where they are kept small."""
    return min(size, most_bytes) if sys.platform == "linux" else size


@contextmanager
def kept_small(*folders: Path, most_bytes: int = ONCE_BYTES) -> Iterator[None]:
    """While this lasts, release the files below `folders` as soon as about `most_bytes` of files are resident; see release.

    A thread looks, so that whatever holds Python's lock for long is not seen.
    """
    release_if_many, ended = releasing(*folders, most_bytes=most_bytes), threading.Event()

    def watch() -> None:
        while not ended.wait(_EVERY_S):
            release_if_many()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _resident_bytes() -> int:
    """What is resident of all mapped files (proc(5), /proc/pid/statm)."""
    return int(Path("/proc/self/statm").read_bytes().split()[2]) * os.sysconf("SC_PAGE_SIZE")
