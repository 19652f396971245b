"""A package as one file that anyone can open: a plain tar, the same bytes for the same package, in parts that a release host takes."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path
from typing import BinaryIO

from bakehouse.errors import Failure
from bakehouse.records import FileRecord, Written
from bakehouse.store import files

# Release hosts (GitHub among them) take files of less than 2 GiB.
PART_BYTES = 1900 * 1024 * 1024
_SMALLEST_PART, _LARGEST_PART = 1024 * 1024, 2 * 1024**3 - 1


class Archive(Written):
    """One archive: its name and sha256 when its parts are joined, and the parts in order."""

    name: str
    size: int
    sha256: str
    parts: tuple[FileRecord, ...]


def part_size(part_bytes: int) -> int:
    """The requested size of parts in bytes, if it is possible.

    Raises:
        Failure: a release would have thousands of files, or parts that are larger than release hosts take.
    """
    if not _SMALLEST_PART <= part_bytes <= _LARGEST_PART:
        raise Failure(
            f"Parts of {part_bytes:,} bytes are too small or too large.",
            where="--part-size",
            remedy=f"Choose from {_SMALLEST_PART:,} (1 MiB) to {_LARGEST_PART:,} bytes; release hosts take files below 2 GiB.",
        )
    return part_bytes


def write(folder: Path, name: str, target: Path, part_bytes: int = PART_BYTES) -> Archive:
    """Write `NAME.tar`, or `NAME.tar.001` and so on, into the new folder `target`; a part never has more than `part_bytes`.

    It is not compressed: quantized weights hardly shrink, another version of a compressor would give other bytes, and every system opens a
    tar. Files are sorted and all have one time, one owner and one mode.
    """
    parts = _Parts(target, f"{name}.tar", part_bytes)
    with parts, tarfile.open(fileobj=parts, mode="w|", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        for path in files.walk(folder):
            entry = tarfile.TarInfo(f"{name}/{path.relative_to(folder).as_posix()}")
            entry.size, entry.mtime, entry.mode = path.stat().st_size, files.SEALED_AT_NS // 10**9, 0o644
            with path.open("rb") as body:
                tar.addfile(entry, body)
    return parts.archive()


class _Parts:
    """A file to write to, split into several files of at most a given size."""

    def __init__(self, target: Path, name: str, part_bytes: int) -> None:
        self._target, self._name, self._part_bytes = target, name, part_bytes
        self._digest = hashlib.sha256()
        self._size = 0
        self._paths: list[Path] = []
        self._open: BinaryIO | None = None
        self._room = 0

    def __enter__(self) -> _Parts:
        return self

    def __exit__(self, *_: object) -> None:
        if self._open:
            self._open.close()

    def write(self, body: bytes) -> int:
        """Append; a new part begins when the last one is full."""
        rest = memoryview(body)
        while rest:
            if self._room == 0:
                self._next()
            assert self._open
            taken = rest[: self._room]
            self._open.write(taken)
            self._digest.update(taken)
            self._room -= len(taken)
            self._size += len(taken)
            rest = rest[len(taken) :]
        return len(body)

    def _next(self) -> None:
        if self._open:
            self._open.close()
        self._paths.append(self._target / f"{self._name}.{len(self._paths) + 1:03}")
        self._open = self._paths[-1].open("wb")
        self._room = self._part_bytes

    def archive(self) -> Archive:
        """What was written; a single part loses its number."""
        if len(self._paths) == 1:
            self._paths = [self._paths[0].rename(self._target / self._name)]
        parts = files.records_of(self._target, self._paths)
        return Archive(name=self._name, size=self._size, sha256=self._digest.hexdigest(), parts=parts)
