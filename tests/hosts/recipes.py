"""recipes/phi3.yaml without its searches, and without what the stand-in cannot do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from tests.support.bench import ROOT

NAME = "phi3"
_NO_ANSWER: tuple[str, ...] = ()  # a model of 0.2 billion weights loses its answers with these


def write(folder: Path, builds: Sequence[str]) -> tuple[str, ...]:
    """Write the recipe, with all builds if none are named; which of them are left out."""
    recipe = yaml.safe_load((ROOT / "recipes" / f"{NAME}.yaml").read_text(encoding="utf-8"))
    recipe.pop("searches")
    left_out = tuple(name for name in recipe["builds"] if name in _NO_ANSWER or (builds and name not in builds))
    for name in left_out:
        recipe["builds"].pop(name)
    if set(recipe["repositories"]["onnx"]) & set(left_out):
        recipe.pop("repositories")
    folder.mkdir()
    (folder / f"{NAME}.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return left_out
