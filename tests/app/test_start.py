"""What a command imports before it answers: no more than it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bakehouse.store.store import Store
from tests.package.test_card import manifest
from tests.support.bench import ROOT, recipe
from tests.support.fakes import HUB, planned, put
from tests.support.packed import pack

pytestmark = pytest.mark.needs_backend("openvino")  # its recipes and its packed package have that runtime

# pydantic with all that it brings, and the one reader of YAML: what a check needs, and what the release notes tell its users to install.
TO_CHECK = {"annotated_types", "bakehouse", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection", "yaml"}
DOIT = {"cloudpickle", "doit"}
RUN = "bakehouse.app.commands.run"
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


@pytest.fixture
def built(tmp_path: Path) -> dict[str, str]:
    """Where a recipe is, and a store with the package of its one build, as environment variables."""
    plan, store = planned(tmp_path / "recipes", recipe(source=HUB)), Store(tmp_path / "artifacts")
    (build,) = plan.builds
    for step in build.package.closure():
        put(step, store, **({"bakehouse_json": manifest().model_dump_json()} if step == build.package else {}))
    store.expose(build.package, build.name, lambda: None)
    return {"PIPELINE_RECIPES": str(tmp_path / "recipes"), "PIPELINE_ARTIFACTS": str(store.root)}


def rooms(modules: set[str]) -> set[str]:
    """The rooms that these modules are in."""
    return {name.split(".")[1] for name in modules if name.startswith("bakehouse.")}


def test_listing_builds_imports_no_display_and_nothing_that_makes_steps(built: dict[str, str]) -> None:
    found = imported("doit", "list", folder=ROOT, **built)
    assert others(found) <= TO_CHECK | DOIT
    assert not {"executor", "package", "publish", "release", "stages"} & rooms(found)


def test_a_build_that_is_there_imports_nothing_that_makes_steps(built: dict[str, str]) -> None:
    found = imported("doit", "build:tiny-int4", folder=ROOT, **built)
    assert others(found) <= TO_CHECK | DOIT | {"dodo", "rich"}
    assert not {"bakehouse.stages.dispatch", "bakehouse.stages.validate", "bakehouse.package.card", "bakehouse.package.inspect"} & found
    assert not {name for name in found if name.startswith(("bakehouse.release", "bakehouse.app.commands."))} - {RUN}
