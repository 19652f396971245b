"""Drawn pictures as files of their colours: red, green and blue of each point, a byte each, line by line; and how far two are apart."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Run = Literal["source", "own", "in_use"]  # who drew: the source, a build in its own precision, and as users have it


def path(files: Path, run: Run, number: int) -> Path:
    """Where the colours of a picture are."""
    return files / f"{run}-{number}.rgb"


def difference(one: bytes, other: bytes) -> float:
    """The mean difference of the colours, 0 to 255; of pictures of other sizes all of it."""
    if len(one) != len(other) or not one:
        return 255.0
    return sum(map(abs, map(int.__sub__, one, other))) / len(one)
