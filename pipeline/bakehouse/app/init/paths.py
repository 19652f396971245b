"""Paths of this machine as recipes have them."""

from __future__ import annotations

import os
from pathlib import Path, PurePath


def as_written(path: PurePath, recipes: PurePath) -> str:
    """A path as a recipe has it: relative where it lies next to the recipe, else absolute."""
    return path.relative_to(recipes).as_posix() if path.is_relative_to(recipes) else path.as_posix()


def without_dots(path: Path) -> Path:
    """The absolute path of what exists, without `..`, which a recipe takes only at the beginning; links stay, for a GGUF's name."""
    plain = Path(os.path.normpath(path.absolute()))
    return plain if plain.exists() and plain.samefile(path) else path.resolve()
