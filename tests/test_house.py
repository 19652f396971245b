"""Rooms: imports go down only; heavy tools stay in workers, one place starts processes, and only commands know doit."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pipeline" / "bakehouse"
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
COMMANDS = {"main", "dodo", "attempts", "tasks", "cli", "commands"}


def _imports(path: Path) -> set[str]:
    """Top names of all that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def _importers(names: set[str], may: Callable[[Path], bool]) -> list[str]:
    """The modules that import one of these and may not."""
    modules = (path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py")))
    return [path.as_posix() for path in modules if not may(path) and names & _imports(PACKAGE / path)]


def test_rooms_import_only_from_rooms_below_and_no_backend_from_another() -> None:
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_values_of_any_type_are_passed_on_only_where_others_wrote_them() -> None:
    """JSON of checkpoints, GGUF files and lm-eval has values that only a look at them tells; our own have types."""
    found = [
        f"{path.relative_to(PACKAGE)}:{number}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "def " in line and ("dict[str, Any]" in line or "Mapping[str, Any]" in line)
    ]
    assert len(found) < 30, found


def test_only_workers_import_heavy_tools() -> None:
    assert _importers(HEAVY, lambda path: "workers" in path.parts) == []


def test_only_the_cluster_imports_dask() -> None:
    assert _importers({"dask", "distributed"}, lambda path: path.parts[0] == "cluster") == []


def test_only_tasks_and_commands_import_doit() -> None:
    assert _importers({"doit"}, lambda path: path.parts[0] == "app" and {*path.parts, path.stem} & COMMANDS) == []


def test_the_wheel_has_every_file_of_the_package() -> None:
    """setuptools takes the modules of folders with an `__init__.py`, and what `package-data` names."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]["bakehouse"]
    data = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    files = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path for path in files - data if path.suffix != ".py"} == set()
    assert {path.parent for path in files if not (path.parent / "__init__.py").exists() and path.suffix == ".py"} == set()


def test_one_place_starts_processes() -> None:
    starters = (Path("executor/process.py"), Path("executor/windows_job.py"), Path("executor/channel.py"))
    assert (
        _importers({"subprocess", "multiprocessing"}, lambda path: path in starters or "workers" in path.parts or path.parts[0] == "child")
        == []
    )


def test_the_recipes_are_read_and_planned_without_a_heavy_import() -> None:
    program = "import sys; import dodo; print(sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not HEAVY & set(ast.literal_eval(loaded))


RUNTIMES = ("openvino", "onnxruntime", "onnx runtime", "intel-npu-acceleration-library", "npulib")
# Readers of file formats, the union of options, and a module of OpenVINO's that is kept from calling home.
MAY_NAME = {"formats/npu_blob.py", "formats/npu_library_pickle.py", "formats/openvino_ir.py", "recipe/kinds.py", "child/hermetic.py"}


def _words(path: Path) -> str:
    """What a module says in code: names and texts, not docstrings or comments; all of a template."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    tree = ast.parse(text)
    with_docs = (node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef))
    docs = {id(node.body[0].value) for node in with_docs if node.body and isinstance(node.body[0], ast.Expr)}
    texts = (
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    )
    return "\n".join((*texts, *(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))))


def test_no_runtime_is_named_outside_the_backends() -> None:
    files = (path for path in sorted(PACKAGE.rglob("*")) if path.suffix in (".py", ".jinja") and "backends" not in path.parts)
    words = {path.relative_to(PACKAGE).as_posix(): _words(path).lower() for path in files}
    assert {name for name, text in words.items() if any(runtime in text for runtime in RUNTIMES)} <= MAY_NAME
