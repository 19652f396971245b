"""Publishing with the hub's real client against a hub of our own: what is sent, what is not, and what a failure leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import publication
from pipeline.errors import Failure
from pipeline.session import Session
from pipeline.stages import publish
from pipeline.stages.publish import Outcome
from pipeline.store import Store
from tests import hub_write, published
from tests.bench import Bench
from tests.hub_write import WRITER, Workshop
from tests.published import REPO


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """An empty hub that can be written to, and an environment that has a token for it."""
    hub, server = hub_write.start(tmp_path / "hub")
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": WRITER, "HF_HOME": str(tmp_path / "hf")}.items():
        monkeypatch.setenv(name, value)
    yield hub
    server.shutdown()
    server.server_close()


def run(bench: Bench, *, dry_run: bool = False, said: Callable[..., None] = lambda progress: None) -> Outcome:
    build = published.build(bench)
    assert build.destination
    session = Session(Store(bench.artifacts))
    return publish.run(build.name, build.package, build.destination, session, dry_run=dry_run, tell=said)


def refusal(bench: Bench) -> str:
    with pytest.raises(Failure) as caught:
        run(bench)
    return str(caught.value)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A package of a recipe that publishes it."""
    made = published.bench(tmp_path / "bench")
    published.package(made)
    return made


def test_everything_arrives_in_one_commit_and_leaves_a_receipt(workshop: Workshop, bench: Bench) -> None:
    outcome = run(bench)
    package = bench.artifacts / "packages" / "tiny-int4"
    assert workshop.holds(REPO) == {path.name: path.read_bytes() for path in package.iterdir()}
    assert len(workshop.made[REPO].log) == 2
    print(publication.text(outcome))
