"""A copy of this tree without a backend, and the light suite in it.

python -m tests.support.without_backend [RUNTIME ...] [-- PYTEST_ARGUMENT ...]     prints the last lines of each suite
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from tests.support.bench import ROOT

# What is compiled for an NPU is what the OpenVINO backend converts, so the one goes with the other.
GOES = {
    "intel-npu-acceleration-library": ["npu_library"],
    "onnxruntime-genai": ["onnxruntime_genai"],
    "onnxruntime": ["onnxruntime"],
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
    kinds = source / "recipe" / "kinds.py"
    (member,) = re.findall(rf"from bakehouse\.backends\.{backend}\.options import (\w+)\n", kinds.read_text(encoding="utf-8"))
    without_lines(kinds, rf"bakehouse\.backends\.{backend}\.")
    text = kinds.read_text(encoding="utf-8")
    assert f" | {member}" in text or f"{member} | " in text
    kinds.write_text(re.sub(rf"\b{member} \| | \| {member}\b", "", text), encoding="utf-8")


def copied(to: Path, runtime: str) -> int:
    """Copy what git would track, without the backend, its tests, its rows, its builds and searches in recipes; how many builds are left."""
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache", "*.egg-info")
    for name in ("tests", "benchmarks", "docs", "examples", "deploy", ".github", ".devcontainer", ".ci"):
        shutil.copytree(ROOT / name, to / name, ignore=ignored)
    # With its compiled modules, which count for sources of the same time and size: they need not be compiled again.
    shutil.copytree(ROOT / "pipeline", to / "pipeline", ignore=shutil.ignore_patterns("*.egg-info"))
    for path in ROOT.iterdir():
        if path.is_file() and path.name != ".git" and not path.name.startswith(".doit"):
            shutil.copy2(path, to)
    for backend in GOES[runtime]:
        delete(to / "pipeline" / "bakehouse", backend)
        shutil.rmtree(to / "tests" / "backends" / backend)
    gone = {name for name, backends in GOES.items() if set(backends) <= set(GOES[runtime])}
    kept = _recipes(to / "recipes", gone)
    run(to, "-m", "doit", "schema").check_returncode()
    return kept


def _recipes(folder: Path, gone: set[str]) -> int:
    kept = 0
    folder.mkdir()
    for path in sorted((ROOT / "recipes").glob("*.yaml")):
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
        builds = {name: build for name, build in recipe["builds"].items() if build["runtime"] not in gone}
        kept += len(builds)
        if builds:
            repositories = {} if "onnxruntime-genai" in gone else {key: value for key, value in recipe.items() if key == "repositories"}
            searches = {name: search for name, search in recipe.get("searches", {}).items() if search["runtime"] not in gone}
            rest = {key: value for key, value in recipe.items() if key not in ("builds", "repositories", "searches")}
            kept_parts = rest | {"builds": builds} | repositories | ({"searches": searches} if searches else {})
            head = path.read_text(encoding="utf-8").splitlines(keepends=True)[0]
            (folder / path.name).write_text(head + yaml.safe_dump(kept_parts, sort_keys=False), encoding="utf-8")
    return kept


def run(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Python with these words in a copy, on the copy's own modules."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(copy), str(copy / "pipeline")))}
    return subprocess.run([sys.executable, *words], cwd=copy, env=environ, capture_output=True, text=True, check=False)


def light_suite(copy: Path, arguments: Sequence[str] = ("-n", "2", "--dist", "loadfile")) -> subprocess.CompletedProcess[str]:
    """The light suite of a copy, or the part of it that the arguments name."""
    return run(copy, "-m", "pytest", "-q", "-m", "not model", "-p", "no:cacheprovider", *arguments)


def main() -> None:
    """Try some runtimes, or all."""
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    failed = []
    for runtime in words[:cut] or GOES:
        with tempfile.TemporaryDirectory() as folder:
            copied(Path(folder), runtime)
            done = light_suite(Path(folder), words[cut + 1 :] or ("-n", "2", "--dist", "loadfile"))
        tail = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR")) or (" in " in line and " passed" in line)]
        print(f"without {runtime}:", *(tail or [done.stdout[-2000:], done.stderr[-2000:]]), sep="\n  ", flush=True)
        failed += [runtime] if done.returncode else []
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
