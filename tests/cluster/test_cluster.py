"""A scheduler and two workers as processes make what one machine makes, whoever is killed, fails or wants it no more."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from inline_snapshot import snapshot

from bakehouse.cluster.engine import Cluster, Failed
from bakehouse.errors import Failure
from bakehouse.executor.listen import Progress
from bakehouse.executor.process import Children
from bakehouse.executor.session import Session
from bakehouse.executor.shared_store import Remote
from bakehouse.steps.step import Step
from bakehouse.store.store import Store
from tests.support import s3
from tests.support.bench import has_ended, wait_for
from tests.support.cluster import Machines, carry_out, machines, made_up, make, task


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with machines(tmp_path_factory.mktemp("cluster"), "one", "two") as running:
        yield running


def no_one(step: Step, progress: Progress) -> None:
    """Progress that no one watches."""


def fetched(steps: list[Step], cluster: Machines, folder: Path) -> Store:
    """A store with what the shared store has of these steps."""
    store = Store(folder)
    Remote(store, Children(), {"PIPELINE_REMOTE": cluster.shared_store}).supply(steps, lambda line: None)
    return store


def build(number: int) -> list[Step]:
    """The steps of a made-up build; the first is that of all."""
    source = made_up("source", kind="download")
    converted = made_up(f"build-{number}", [("checkpoint", source)])
    checked = made_up(f"check-{number}", [("model", converted)], kind="validate")
    return [source, converted, checked]


@pytest.mark.whole
def test_with_a_worker_killed_all_is_made_and_has_the_bytes_of_one_machine(cluster: Machines, tmp_path: Path) -> None:
    steps = list(dict.fromkeys(one for number in range(3) for one in build(number)))
    asker = Cluster(cluster.address)
    heard: list[str] = []
    asker.submit([task(one, cluster.shared_store) for one in steps], lambda step, progress: heard.append(progress.doing), carry_out)
    asker.wait(steps[0])
    cluster.worker_processes("one")[0].kill()
    for one in steps:
        asker.wait(one)
    asker.close()
    alone = Store(tmp_path / "alone")
    for one in steps:
        make(one, Session(alone))
    store = fetched(steps, cluster, tmp_path / "asker")
    for one in steps:
        brought, made = store.record(one), alone.record(one)
        assert brought and made and brought.files == made.files
    assert any(line.startswith("writing it into the store [") for line in heard)


@pytest.mark.whole
def test_what_a_step_prints_comes_while_it_is_made(cluster: Machines, tmp_path: Path) -> None:
    go = tmp_path / "go"
    program = (
        "print('half', 'of it', flush=True)\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.05)\n"
        "print('all', 'of it'); (files / 'made.txt').write_text('')"
    )
    one, lines = made_up("loud", program=program), list[str]()
    asker = Cluster(cluster.address)
    asker.submit([task(one, cluster.shared_store)], no_one, carry_out, lambda step, text: lines.append(text))
    wait_for(lambda: "half of it" in "".join(lines))
    assert "all of it" not in "".join(lines)
    go.touch()
    asker.wait(one)
    wait_for(lambda: "".join(lines).count("all of it") == 1 and "".join(lines).count("half of it") == 1)
    asker.close()


def test_a_step_that_fails_is_tried_once_and_says_so_with_its_log(cluster: Machines, tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    program = f"open({str(tries)!r}, 'a').write('x'); print('the weights are odd'); sys.exit(3)"
    one = made_up("odd", program=program)
    after = made_up("after", [("model", one)])
    asker = Cluster(cluster.address)
    asker.submit([task(one, cluster.shared_store), task(after, cluster.shared_store)], no_one, carry_out)
    with pytest.raises(Failed) as failed:
        asker.wait(one)
    with pytest.raises(Failed):
        asker.wait(after)
    asker.close()
    assert failed.value.what == snapshot("The child process ended with exit code 3.")
    assert failed.value.where == "compress of odd"
    assert "the weights are odd" in failed.value.log
    assert failed.value.details[-1].startswith("on the worker ")
    assert tries.read_text() == "x"


def test_a_step_of_two_askers_is_made_once_and_goes_on_for_the_one_who_stays(cluster: Machines, tmp_path: Path) -> None:
    began, go = tmp_path / "began", tmp_path / "go"
    program = (
        f"open({str(began)!r}, 'a').write('x')\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.05)\n"
        "(files / 'made.txt').write_text('')"
    )
    one = made_up("slow", program=program)
    leaves, stays = Cluster(cluster.address), Cluster(cluster.address)
    for asker in (leaves, stays):
        asker.submit([task(one, cluster.shared_store)], no_one, carry_out)
    wait_for(began.exists)
    leaves.close()
    with pytest.raises(Failure, match="Interrupted"):
        leaves.wait(one)
    time.sleep(2)  # in which a watch that is wrong would end it
    go.touch()
    stays.wait(one)
    stays.close()
    assert began.read_text() == "x"


def test_a_step_that_nobody_wants_any_more_is_ended(cluster: Machines, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    one = made_up("unwanted", program=f"open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(300)")
    asker = Cluster(cluster.address)
    asker.submit([task(one, cluster.shared_store)], no_one, carry_out)
    wait_for(lambda: pid.exists() and pid.read_text())
    child = psutil.Process(int(pid.read_text()))
    asker.close()
    wait_for(lambda: has_ended(child), timeout_s=30)


def test_a_worker_with_another_shared_store_refuses(cluster: Machines) -> None:
    one = made_up("elsewhere")
    asker = Cluster(cluster.address)
    asker.submit([task(one, "s3://elsewhere/store")], no_one, carry_out)
    with pytest.raises(Failed) as failed:
        asker.wait(one)
    asker.close()
    assert failed.value.what == f"This worker's shared store is {cluster.shared_store}, and who asks has s3://elsewhere/store."


@pytest.mark.whole
def test_what_is_missing_in_the_shared_store_is_named(cluster: Machines) -> None:
    above = made_up("above", [("model", made_up("never-made"))])
    asker = Cluster(cluster.address)
    asker.submit([task(above, cluster.shared_store)], no_one, carry_out)
    with pytest.raises(Failed) as failed:
        asker.wait(above)
    asker.close()
    assert failed.value.what == f"Compress of never-made is not in the shared store {cluster.shared_store}."


@pytest.mark.whole
def test_workers_say_what_they_have(cluster: Machines) -> None:
    asker = Cluster(cluster.address)
    found = asker.workers()
    asker.close()
    assert len(found) == 2
    assert all(one.resources["MEM"] > 1e8 for one in found)


@pytest.mark.whole
def test_a_scheduler_that_goes_ends_in_a_sentence_and_a_second_run_goes_on(tmp_path: Path) -> None:
    with machines(tmp_path, "one") as running:
        first = made_up("first")
        second = made_up("second", [("model", first)], program="time.sleep(300)")
        others = [made_up(f"other-{number}", [("model", second)]) for number in range(50)]
        asker = Cluster(running.address)
        asker.submit([task(one, running.shared_store) for one in (first, second, *others)], no_one, carry_out)
        asker.wait(first)
        scheduler = running.processes["scheduler"]
        scheduler.send_signal(signal.SIGKILL)
        scheduler.wait(10)
        with pytest.raises(Failure) as gone:
            asker.wait(second)
        for one in others:
            with pytest.raises(Failure, match="is gone"):
                asker.wait(one)
        assert asker.given_up
        asker.close()
        assert str(gone.value).replace(running.address, "ADDRESS") == snapshot("""\
The scheduler at ADDRESS is gone.
  what to do: Run the same command again when it is back: what is in the shared store is not made again.\
""")
        running.start_scheduler(int(running.address.rpartition(":")[2]))
        again = Cluster(running.address)
        wait_for(again.workers)
        third = made_up("third", [("model", first)])
        again.submit([task(third, running.shared_store)], no_one, carry_out)
        again.wait(third)
        again.close()


@pytest.mark.whole
def test_a_worker_waits_for_a_shared_store_that_is_out_of_reach(tmp_path: Path) -> None:
    with s3.serve() as server:
        environ = server.env()
    # the server has ended; another one at its port is the shared store that comes back
    with machines(tmp_path, "one", **environ, PIPELINE_REMOTE_TIMEOUT_S="3") as running:
        heard: list[str] = []
        above = made_up("above", kind="download")
        asker = Cluster(running.address)
        asker.submit([task(above, environ["PIPELINE_REMOTE"])], lambda step, progress: heard.append(progress.doing), carry_out)
        wait_for(lambda: any(line.startswith("waiting for the shared store, which is out of reach") for line in heard))
        with s3.serve(server.port) as back:
            asker.wait(above)
            assert any(name.endswith(f"steps/download/{above.key}.json") for name in back.names())
        asker.close()
