"""What a command imports before it answers: no more than it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.bench import ROOT
from tests.packed import pack

# pydantic with all that it brings, and the one reader of YAML: what a check needs, and what the release notes tell its users to install.
TO_CHECK = {"annotated_types", "bakehouse", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection", "yaml"}
# Parts of Python that take long to import, and that a command without a child process or a network has no use for.
SLOW = {"asyncio", "http", "multiprocessing", "sqlite3", "ssl", "subprocess", "unittest", "xml"}


_RUN = "import atexit, runpy, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); del sys.argv[0]; "
_RUN += "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"


def imported(*words: str, folder: Path, **environ: str) -> set[str]:
    """The modules that `python -m WORDS` has imported when it ends, which must be a success."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "pipeline"), **environ}
    done = subprocess.run([sys.executable, "-c", _RUN, *words], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def others(modules: set[str]) -> set[str]:
    """Of these modules the top names that are not Python's own."""
    tops = {name.partition(".")[0] for name in modules if not name.startswith("_")}
    return tops - sys.stdlib_module_names - {"cython_runtime"}


def test_a_check_imports_pydantic_and_yaml_and_nothing_slow(tmp_path: Path) -> None:
    package = pack(tmp_path / "package")
    found = imported("bakehouse.app.main", "check", str(package), folder=tmp_path)
    assert others(found) <= TO_CHECK
    assert not SLOW & found
    assert not {name for name in found if name.startswith("bakehouse.") and name.split(".")[1] in ("executor", "plan", "stages", "child")}
