"""The house: imports go down only, heavy tools stay in the workers, and nothing here speaks of any one machine."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {
    "torch",
    "transformers",
    "optimum",
    "openvino",
    "openvino_genai",
    "openvino_tokenizers",
    "nncf",
    "onnx",
    "onnxruntime",
    "huggingface_hub",
    "safetensors",
    "gguf",
    "tokenizers",
    "accelerate",
    "numpy",
}

# From the roof down. A module may import what stands on a lower floor, or beside it on its own.
FLOORS = (
    ("release_commands", "refused_commands", "main"),
    ("commands",),
    ("cli",),
    ("tasks",),
    ("publication", "attempts"),
    (
        "progress",
        "overview",
        "housekeeping",
        "reach",
        "preflight",
        "prompt_room",
        "linting",
        "workspace",
        "compare",
        "inspection",
        "verify_package",
        "signing",
        "rebuild",
        "release",
        "archive",
        "matrix",
        "remote",
    ),
    ("stages",),
    ("selection",),
    ("plan",),
    ("backends", "sources", "loader", "schema", "card", "card_use", "receipts", "proof", "provenance", "bom", "wheels", "gate"),
    ("store", "session"),
    ("version",),
    ("process", "document", "wording"),
    ("suitability",),
    ("maker", "crash", "windows_job", "line_ends", "survey", "files", "clone", "contents", "pickles", "diagnostics", "syntax"),
    ("manifest", "step", "fields"),
    ("recipe",),
    ("quantization", "openvino_options", "npu_options", "npulib_options", "ort_options", "ort_folders", "publishing"),
    ("agreement",),
    ("model",),
    ("terms", "errors", "weight_names"),
    ("spdx",),
    ("workers",),
)


def _modules() -> list[Path]:
    return sorted((ROOT / "pipeline" / "bakehouse").rglob("*.py"))


def _imports(path: Path) -> set[str]:
    """Dotted names of all that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "pipeline" else {node.module}
    return found


def _floor(name: str) -> int:
    return next(number for number, floor in enumerate(FLOORS) if name in floor)


@pytest.mark.parametrize("path", _modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_down_only(path: Path) -> None:
    place = path.relative_to(ROOT / "pipeline" / "bakehouse").parts[0].removesuffix(".py")
    if place == "__init__":
        return
    up = {name for name in _imports(path) if name.startswith("pipeline.") and _floor(name.split(".")[1]) < _floor(place)}
    assert not up


@pytest.mark.parametrize(
    "path",
    [path for path in _modules() if path.parent.name not in ("backends", "workers")],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_no_module_outside_the_backends_knows_a_single_one(path: Path) -> None:
    single = {path.stem for path in (ROOT / "pipeline" / "bakehouse" / "backends").glob("*.py")} - {"__init__", "base", "reference"}
    names = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bakehouse.backends")
        for alias in node.names
    }
    assert not {name for name in names if single & set(name.split("."))}


@pytest.mark.parametrize(
    "path", [path for path in _modules() if "workers" not in path.parts], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_only_workers_import_heavy_tools(path: Path) -> None:
    assert not {name for name in _imports(path) if name.split(".")[0] in HEAVY}


@pytest.mark.parametrize(
    "path",
    [path for path in _modules() if path.stem not in ("attempts", "tasks", "cli", "commands", "release_commands", "refused_commands")],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_only_tasks_and_commands_import_doit(path: Path) -> None:
    assert not {name for name in _imports(path) if name.split(".")[0] == "doit"}


@pytest.mark.parametrize(
    "path",
    [path for path in _modules() if path.stem not in ("process", "windows_job") and "workers" not in path.parts],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_one_place_starts_processes(path: Path) -> None:
    assert not {"subprocess", "multiprocessing"} & _imports(path)


def test_the_recipes_are_read_and_planned_without_a_heavy_import() -> None:
    program = "import sys; import dodo; print(sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(ast.literal_eval(loaded))
