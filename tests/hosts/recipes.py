"""recipes/phi3.yaml without its searches, and with some of its builds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from tests.support.bench import ROOT

NAME = "phi3"
# Each runtime, and of the two that are used the most two builds.
BUILDS = ("int4-openvino", "int8-openvino", "int4-ort-cpu", "int4-ort-directml", "int4cw-npu", "fp16-npulib")


def write(folder: Path, builds: Sequence[str] = BUILDS, *, tiny: bool = True) -> None:
    """Write the recipe with these of its builds; for the tiny model the NPU's prompts are short, since its context is 512 tokens."""
    from tests.support import npu_making  # here, so that a test of this folder needs no backend

    recipe = yaml.safe_load((ROOT / "recipes" / f"{NAME}.yaml").read_text(encoding="utf-8"))
    recipe.pop("searches")
    recipe["builds"] = {name: recipe["builds"][name] for name in builds}
    for build in recipe["builds"].values():
        if tiny and build["runtime"] == "openvino-npu":
            build |= npu_making.SHORT
    if not set(recipe["repositories"]["onnx"]) <= set(builds):
        recipe.pop("repositories")
    folder.mkdir()
    (folder / f"{NAME}.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
