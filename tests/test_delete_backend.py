"""A backend can be deleted: without its folder, its rows and its union member the rest imports, lints and lists its recipes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.bench import ROOT

# What is compiled for an NPU is what the OpenVINO backend converts, so the one goes with the other.
GOES = {
    "intel-npu-acceleration-library": ["npu_library"],
    "onnxruntime-genai": ["onnxruntime_genai"],
    "openvino-npu": ["openvino_npu"],
    "openvino": ["openvino", "openvino_npu"],
}
EVERYTHING = """
import importlib, pkgutil, bakehouse
from doit import doit_cmd
for module in pkgutil.walk_packages(bakehouse.__path__, "bakehouse."):
    importlib.import_module(module.name)
for words in (["lint"], ["list", "--quiet"]):
    assert not doit_cmd.DoitMain().run(words), words
"""


def without_lines(path: Path, *patterns: str) -> None:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not any(re.search(pattern, line) for pattern in patterns)), encoding="utf-8")


def delete(source: Path, backend: str) -> None:
    """The folder, the rows of the table, the member of the union of builds."""
    shutil.rmtree(source / "backends" / backend)
    table = source / "backends" / "table.py"
    imported = re.findall(rf"from bakehouse\.backends\.{backend} import \w+ as (\w+)\n", table.read_text(encoding="utf-8"))
    assert len(imported) == 2
    without_lines(table, rf"bakehouse\.backends\.{backend} ", rf": ({'|'.join(imported)}),$")
    recipe = source / "recipe" / "recipe.py"
    (member,) = re.findall(rf"from bakehouse\.backends\.{backend}\.options import (\w+)\n", recipe.read_text(encoding="utf-8"))
    without_lines(recipe, rf"bakehouse\.backends\.{backend}\.")
    text = recipe.read_text(encoding="utf-8")
    assert f" | {member}" in text or f"{member} | " in text
    recipe.write_text(re.sub(rf"\b{member} \| | \| {member}\b", "", text), encoding="utf-8")


@pytest.mark.parametrize("runtime", GOES)
def test_the_rest_imports_lints_and_lists_without_a_backend(runtime: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "pipeline" / "bakehouse", tmp_path / "bakehouse", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dodo.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for backend in GOES[runtime]:
        delete(tmp_path / "bakehouse", backend)
    gone = {name for name, backends in GOES.items() if set(backends) <= set(GOES[runtime])}
    kept = 0
    (tmp_path / "recipes").mkdir()
    for path in sorted((ROOT / "recipes").glob("*.yaml")):
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
        builds = {name: build for name, build in recipe["builds"].items() if build["runtime"] not in gone}
        kept += len(builds)
        if builds:
            repositories = {} if "onnxruntime-genai" in gone else {key: value for key, value in recipe.items() if key == "repositories"}
            rest = {key: value for key, value in recipe.items() if key not in ("builds", "repositories")}
            (tmp_path / "recipes" / path.name).write_text(yaml.safe_dump(rest | {"builds": builds} | repositories), encoding="utf-8")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", EVERYTHING], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert kept and len([line for line in done.stdout.splitlines() if line.startswith("build:")]) >= kept
