"""recipes/phi3.yaml as it is, or for the tiny Phi-3: with a shorter context for the NPU, since the tiny one's is 512 tokens."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.support import npu_making
from tests.support.bench import ROOT

NAME = "phi3"
# With so few weights these do not answer: of the tiny and the small stand-in.
_NO_ANSWER: dict[bool, tuple[str, ...]] = {True: (), False: ()}


def write(folder: Path, *, tiny: bool) -> tuple[str, ...]:
    """Write the recipe; the names of its builds that are left out."""
    recipe = yaml.safe_load((ROOT / "recipes" / f"{NAME}.yaml").read_text(encoding="utf-8"))
    recipe.pop("searches")
    for name in _NO_ANSWER[tiny]:
        recipe["builds"].pop(name)
    for build in recipe["builds"].values():
        if tiny and build["runtime"] == "openvino-npu":
            build |= npu_making.SHORT
    folder.mkdir()
    (folder / f"{NAME}.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return _NO_ANSWER[tiny]
