"""What tests share: stand-in models, made once per machine, and a hub of our own."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support import forked, hub_write, lanes, standin
from tests.support import hub as hubs
from tests.support.bench import CHILDREN, Bench
from tests.support.children import torch_guard

TRAINED = {"smollm2_checkpoint", "phi3_checkpoint", "tiny_checkpoint", "baked"}  # made with torch
# A file goes to one worker (--dist loadfile): what takes minutes begins first, so that no worker waits for the other at the end.
LONGEST = (
    "tests/test_real_recipes.py",
    "tests/executor/test_kill.py",
    "tests/app/test_doit.py",
    "tests/release/test_doit.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--conformance", action="store_true", help="run also what `make test` leaves out")
    parser.addoption("--update", action="store_true", help="write expected texts anew (without -n), for a person to read the diff")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Have `--update` also write what stands in snapshot(...)."""
    if config.getoption("update"):
        config.option.inline_snapshot = "fix"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (CHILDREN, os.environ.get("PYTHONPATH"))))
    # Hundreds of children import the same modules: without compiled ones that is a third of the light run.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as for the product's own children: two workers share the processors
    forked.at_start()
    torch_guard.install()


def _absent(names: tuple[str, ...]) -> bool:
    return any(find_spec(f"bakehouse.backends.{name}") is None for name in names)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out a module whose `pytestmark = pytest.mark.needs_backend(...)` names a backend that is deleted: it could not be imported."""
    if collection_path.suffix != ".py" or "needs_backend" not in (text := collection_path.read_text(encoding="utf-8")):
        return None
    marks = [node.value for node in ast.parse(text).body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"]
    calls = [call for mark in marks for call in ast.walk(mark) if isinstance(call, ast.Call)]
    named = [ast.literal_eval(name) for call in calls if "needs_backend" in ast.unparse(call.func) for name in call.args]
    return True if named and _absent(tuple(named)) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what is for the whole suite out of the light run; refuse a test that needs a trained model and has no marker that says so."""
    absent = [item for item in items if any(_absent(mark.args) for mark in item.iter_markers("needs_backend"))]
    config.hook.pytest_deselected(items=absent)
    items[:] = [item for item in items if item not in absent]
    if not config.getoption("conformance"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("conformance")])
        items[:] = [item for item in items if not item.get_closest_marker("conformance")]
    if config.getoption("markexpr") == "not model":
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("whole")])
        items[:] = [item for item in items if not item.get_closest_marker("whole")]
    items.sort(key=lambda item: LONGEST.index(file) if (file := item.nodeid.partition("::")[0]) in LONGEST else len(LONGEST))
    unmarked = [item.nodeid for item in items if TRAINED & set(getattr(item, "fixturenames", ())) and not item.get_closest_marker("model")]
    if unmarked:
        raise pytest.UsageError(f"These tests need the marker `model`, for their fixtures are made with torch: {', '.join(unmarked)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Keep torch from a test without the marker, its fixtures and its children."""
    if item.get_closest_marker("model"):
        os.environ.pop(torch_guard.LIGHT, None)
    else:
        os.environ[torch_guard.LIGHT] = "1"
    return (yield)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have children wait a twentieth of what they would, for a hub that recovers at once."""
    monkeypatch.setenv("BAKEHOUSE_TEST_HURRY", "20")


@pytest.fixture(scope="session")
def smollm2_checkpoint() -> Path:
    """SmolLM2-135M-Instruct as a Hugging Face checkpoint."""
    return standin.smollm2_checkpoint()


@pytest.fixture(scope="session")
def phi3_checkpoint() -> Path:
    """The stand-in for Phi-3-mini, with the layout of its repository."""
    return standin.phi3_checkpoint()


@pytest.fixture(scope="session")
def tiny_checkpoint() -> Path:
    """A tiny Llama that answers standin.TINY_ANSWERS and converts in a second."""
    return standin.tiny_checkpoint()


@pytest.fixture(scope="session")
def untrained_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of made-up weights, for what never converts it."""
    folder = tmp_path_factory.mktemp("untrained")
    standin.write_untrained(folder)
    return folder


@pytest.fixture
def hub(hurry: None) -> Iterator[hubs.Hub]:
    """A hub without repositories."""
    hub, server = hubs.start()
    yield hub
    server.shutdown()
    server.server_close()


# The lane with an environment of its own takes the longest by far: tests of it that have no other reason are for `make conformance`.
_LANES = [pytest.param(lane, marks=() if lane.hooked else pytest.mark.conformance, id=lane.name) for lane in lanes.LANES]


@pytest.fixture(params=_LANES, scope="module")
def lane(request: pytest.FixtureRequest) -> lanes.Lane:
    """Every lane, one after the other."""
    found: lanes.Lane = request.param
    return found


@pytest.fixture(scope="module")
def baked(lane: lanes.Lane, tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Bench:
    """All builds of the lane, made without any interruption; tests that change something work on a copy."""
    return lanes.baked(lane, tmp_path_factory, tiny_checkpoint)


@pytest.fixture
def workshop(tmp_path: Path, hurry: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[hub_write.Workshop]:
    """An empty hub that can be written to, and an environment with a token for it."""
    hub, server = hub_write.start(tmp_path / "hub")
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": hub_write.WRITER, "HF_HOME": str(tmp_path / "hf")}.items():
        monkeypatch.setenv(name, value)
    yield hub
    server.shutdown()
    server.server_close()
