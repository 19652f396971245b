"""Who asks a cluster waits, as its workers do, for a shared store that is out of reach when a package is complete."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bakehouse.app.on_cluster import OnCluster
from bakehouse.errors import Failure
from bakehouse.executor.listen import Progress
from bakehouse.executor.process import Children
from bakehouse.executor.session import Session
from bakehouse.executor.shared_store import Remote
from bakehouse.steps.step import Step
from bakehouse.store.store import Store
from tests.support import s3
from tests.support.bench import recipe, wait_for
from tests.support.cluster import made_up, make
from tests.support.fakes import HUB, planned

pytestmark = [pytest.mark.whole, pytest.mark.needs_backend("openvino")]


def test_who_asks_waits_for_a_shared_store_that_is_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    def tell(step: Step, progress: Progress) -> None:
        heard.append(progress.doing)

    with s3.serve() as server, s3.line(server) as line:
        for name, value in {**server.env(line.port), "PIPELINE_REMOTE_TIMEOUT_S": "3"}.items():
            monkeypatch.setenv(name, value)
        made, session = made_up("made", kind="download"), Session(Store(tmp_path / "asker"), tell=tell)
        worker = Store(tmp_path / "worker")
        make(made, Session(worker))
        Remote(worker, Children()).keep(made)
        remote = Remote(session.store, session.children)
        asker = OnCluster(planned(tmp_path / "recipes", recipe(source=HUB)), session, remote, {made.key: "made"})
        asker.prepare("tcp://127.0.0.1:1", [made], lambda line: None)
        line.budget = 0
        failures: list[Failure] = []

        def bring() -> None:
            try:
                asker.make(made)
            except Failure as failure:
                failures.append(failure)

        bringing = threading.Thread(target=bring)
        bringing.start()
        wait_for(lambda: failures or any(text.startswith("waiting for the shared store, which is out of reach") for text in heard))
        line.budget = None
        bringing.join()
        assert not failures and session.store.has(made)
