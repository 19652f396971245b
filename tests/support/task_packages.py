"""Builds packages of other tasks than text generation from a recipe, and runs their cards' programs without Bakehouse."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.support import forked
from tests.support.hub_write import OWNER, Workshop

PUBLISH = {"repo": f"{OWNER}/{{name}}"}
FP16 = {"runtime": "openvino", "quantization": {"weights": "fp16"}}
INT8 = {"runtime": "openvino", "quantization": {"weights": "int8"}}


def recipe(name: str, task: str, checkpoint: Path, golden: list[dict[str, Any]], builds: dict[str, Any], **others: Any) -> dict[str, Any]:
    """A recipe of a local checkpoint."""
    source = {"type": "local", "path": str(checkpoint), "license": "Apache-2.0"}
    return {
        "schema_version": 1, "name": name, "description": "A model", "task": task, "source": source, "golden": golden, "builds": builds,
        **others,
    }  # fmt: skip


def built(folder: Path, recipe: dict[str, Any]) -> Path:
    """The packages of all its builds, made in a folder whose `recipes` may have files of the recipe already."""
    done = build(folder, recipe)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "artifacts" / "packages"


def build(folder: Path, recipe: dict[str, Any], artifacts: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`bakehouse build` of all its builds, in a process of its own; steps that are in `artifacts` are not made again."""
    recipes = folder / "recipes"
    recipes.mkdir(exist_ok=True)
    apart = json.loads(json.dumps(recipe))  # YAML would say with an alias what is the same object
    (recipes / f"{recipe['name']}.yaml").write_text(yaml.safe_dump(apart, sort_keys=False))
    places = {"PIPELINE_RECIPES": str(recipes), "PIPELINE_ARTIFACTS": str(artifacts or folder / "artifacts")}
    return forked.run("bakehouse", ("build", recipe["name"]), folder, os.environ | places)


def publish(folder: Path, name: str, workshop: Workshop) -> Path:
    """What is in the stand-in hub's repository once the package of a build in `folder` is published, as its users download it."""
    places = {"PIPELINE_RECIPES": str(folder / "recipes"), "PIPELINE_ARTIFACTS": str(folder / "artifacts")}
    done = forked.run("bakehouse", ("publish", name), folder, os.environ | places)
    assert done.returncode == 0, done.stdout + done.stderr
    fetched = folder / "fetched" / name
    for path, content in workshop.holds(f"{OWNER}/{name}").items():
        (fetched / path).parent.mkdir(parents=True, exist_ok=True)
        (fetched / path).write_bytes(content)
    return fetched


def programs(package: Path) -> list[str]:
    """The programs of a package's card."""
    return re.findall(r"```python\n(.*?)```", (package / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def run_card(package: Path, folder: Path) -> str:
    """What the first program of a package's card prints, started in `folder`: the one that is for the runtime itself."""
    done = subprocess.run([sys.executable, "-c", programs(package)[0]], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout
