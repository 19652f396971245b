"""Pictures in PNG and JPEG files, as vision-language models get them: which form, and how large. What is in them is read in workers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

LONGEST_SIDE = 8192  # a picture of so many points a side takes 200 MB once it is read
HOW_TO = "`ffmpeg -i FILE OUT.png` makes such a file"
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
# Segments that say how large a JPEG is: the beginnings of frames (ITU-T T.81, table B.1), without tables and arithmetic conditions.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class NotAPicture(ValueError):
    """The file cannot be given to a vision-language model: a sentence without its end."""


def size(path: Path) -> tuple[int, int]:
    """Width and height in points, by the file's header.

    Raises:
        NotAPicture: with the reason.
    """
    try:
        with path.open("rb") as file:
            found = _size(file)
    except (OSError, struct.error) as error:
        reason = "it ends too early" if isinstance(error, struct.error) else (error.strerror or str(error))
        raise NotAPicture(f"it is not a picture that can be read ({reason})") from error
    if found is None:
        raise NotAPicture("it is neither a PNG nor a JPEG file")
    width, height = found
    if not 0 < min(found) <= max(found) <= LONGEST_SIDE:
        raise NotAPicture(f"it has {width:,} by {height:,} points, and each side may have 1 to {LONGEST_SIDE:,}")
    return found


def _size(file: BinaryIO) -> tuple[int, int] | None:
    beginning = file.read(len(_PNG))
    if beginning == _PNG:
        width, height = struct.unpack(">8xII", file.read(16))
        return int(width), int(height)
    if not beginning.startswith(_JPEG):
        return None
    file.seek(len(_JPEG))
    return next(_frames(file), None)


def _frames(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """The sizes of a JPEG's frames, of which there is one; its segments are a mark, their length, and what is in them."""
    while True:
        mark, kind, length = struct.unpack(">BBH", file.read(4))
        if mark != 0xFF:
            return
        if kind in _FRAMES:
            _, height, width = struct.unpack(">BHH", file.read(5))
            yield int(width), int(height)
            return
        file.seek(length - 2, 1)
