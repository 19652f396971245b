"""What tests share: stand-in models, made once per machine, and a hub of our own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import hub as hubs
from tests.support import hub_write, lanes, standin
from tests.support.bench import Bench


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write expected texts anew (without -n), for a person to read the diff")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Have `--update` also write what stands in snapshot(...)."""
    if config.getoption("update"):
        config.option.inline_snapshot = "fix"


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


@pytest.fixture
def hub() -> Iterator[hubs.Hub]:
    """A hub without repositories."""
    hub, server = hubs.start()
    yield hub
    server.shutdown()
    server.server_close()


@pytest.fixture(params=lanes.LANES, ids=lambda lane: lane.name, scope="module")
def lane(request: pytest.FixtureRequest) -> lanes.Lane:
    """Every lane, one after the other."""
    found: lanes.Lane = request.param
    return found


@pytest.fixture(scope="module")
def baked(lane: lanes.Lane, tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Bench:
    """All builds of the lane, made without any interruption; tests that change something work on a copy."""
    return lanes.baked(lane, tmp_path_factory, tiny_checkpoint)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[hub_write.Workshop]:
    """An empty hub that can be written to, and an environment with a token for it."""
    hub, server = hub_write.start(tmp_path / "hub")
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": hub_write.WRITER, "HF_HOME": str(tmp_path / "hf")}.items():
        monkeypatch.setenv(name, value)
    yield hub
    server.shutdown()
    server.server_close()
