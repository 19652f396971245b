"""Kills at random moments: of a run, of two runs side by side, of a child, of a run with a shared store, of a publication, of a cluster."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil

from bakehouse.cluster.engine import Cluster
from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.store.store import Store
from tests.soak.work import Tally, bake, contents, ended, finish, look, shuffled, started
from tests.support import hub_write, published
from tests.support.bench import wait_for
from tests.support.cluster import carry_out, machines, made_up, make, task
from tests.support.hub_write import WRITER

_KILLS_OF_A_LIFE = 6


def of_runs(folder: Path, kills: int, random: Random, tally: Tally) -> None:
    """Lives of one store: killed up to six times in ways that change, then finished undisturbed."""
    began = time.monotonic()
    bake(folder / "undisturbed")
    longest, whole, number = time.monotonic() - began, contents(folder / "undisturbed"), 0
    while number < kills:
        root = folder / "life"
        shared = f"file://{folder}/shared" if random.random() < 0.4 else ""
        for _ in range(min(random.randint(1, _KILLS_OF_A_LIFE), kills - number)):
            how = _disturbed(root, shared, random, longest)
            number += 1
            tally.done[f"kills of {how}"] += 1
            look(root, tally, f"kill {number}, of {how}")
        finish(root, shared, whole, tally, f"kill {number}")
        for one in (root, folder / "shared"):
            shutil.rmtree(one, ignore_errors=True)


def _disturbed(root: Path, shared: str, random: Random, longest: float) -> str:
    """Start a run or two and kill one, both, or a child; which."""
    orders = [shuffled(random) for _ in range(random.choice((1, 1, 2)))]
    runs = [started(lambda order=order: bake(root, shared, order)) for order in orders]
    time.sleep(random.uniform(0, longest * (1.2 if shared else 0.9) * len(runs)))
    what = random.choice(("run", "run", "child"))
    if what == "child":
        family = [child for pid in runs for child in _children(pid)]
        for child in random.sample(family, min(1, len(family))):
            with suppress(psutil.NoSuchProcess):
                child.kill()
        for pid in runs:
            ended(pid)
        return f"a child{_beside(runs, shared)}"
    for pid in random.sample(runs, random.randint(1, len(runs))):
        os.kill(pid, signal.SIGKILL)
    for pid in runs:
        ended(pid)
    return f"a run{_beside(runs, shared)}"


def _children(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return list(psutil.Process(pid).children())
    return []


def _beside(runs: list[int], shared: str) -> str:
    return f"{', two side by side' if len(runs) > 1 else ''}{', with a shared store' if shared else ''}"


def of_publications(folder: Path, kills: int, random: Random, tally: Tally) -> None:
    """Publications killed at any moment: the branch is as before or has all of the package, and the next run ends with all of it."""
    hub, server = hub_write.start(folder / "hub")
    environ = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": WRITER, "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "0"}
    os.environ.update(environ)
    try:
        for number in range(1, kills + 1):
            bench = published.bench(folder / f"bench-{number}", {"repo": f"{hub_write.OWNER}/tiny-{number}"})
            published.package(bench)
            pid = started(lambda bench=bench: published.run(bench) and None)
            time.sleep(random.uniform(0, 4))
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            ended(pid)
            hub.wait_until_idle()
            tally.done["kills of a publication"] += 1
            tally.states[f"a publication {_published(hub, number)}"] += 1
            if ended(started(lambda bench=bench: published.run(bench) and None)) != "finished":
                tally.wrong(f"publication {number}: the next run does not end well")
            elif _published(hub, number) != "complete":
                tally.wrong(f"publication {number}: not complete after the next run")
            shutil.rmtree(bench.folder)
    finally:
        server.shutdown()
        server.server_close()
        for name in environ:
            os.environ.pop(name)


def _published(hub: hub_write.Workshop, number: int) -> str:
    repo = hub.made.get(name := f"{hub_write.OWNER}/tiny-{number}")
    if repo is None:
        return "not begun"
    commits = [commit for branch, commit in repo.branches.items() if branch == "next"] or list(repo.branches.values())
    held = hub.repos[("model", name, commits[-1])]
    kept = {path: held[path].path.read_bytes() for path in published.MODEL if path in held and path != "README.md"}
    whole = {path: body for path, body in published.MODEL.items() if path != "README.md"}
    return "complete" if kept == whole else "without a commit" if not kept else "IN PARTS"


def of_workers(folder: Path, kills: int, random: Random, tally: Tally) -> None:
    """Workers of a cluster killed while steps are made: all are made, with the bytes of one machine."""
    done = 0
    with machines(folder / "cluster", "one", "two") as running:
        while done < kills:
            steps = [made_up("source", kind="download")]
            steps += [made_up(f"build-{done}-{number}", [("checkpoint", steps[0])]) for number in range(8)]
            asker = Cluster(running.address)
            asker.submit([task(one, running.shared_store) for one in steps], lambda step, progress: None, carry_out)
            for _ in range(min(2, kills - done)):
                time.sleep(random.uniform(0.1, 1.5))
                victims = [one for name in ("one", "two") for one in running.worker_processes(name)]
                for victim in random.sample(victims, min(1, len(victims))):
                    victim.kill()
                    done += 1
                    tally.done["kills of a worker of a cluster"] += 1
            for one in steps:
                try:
                    asker.wait(one)
                except Failure as failure:
                    tally.wrong(f"cluster, kill {done}: {failure}")
            asker.close()
            _same_as_alone(folder, running.shared_store, steps, tally, done)
            wait_for(lambda: all(running.worker_processes(name) for name in ("one", "two")))


def _same_as_alone(folder: Path, shared: str, steps: list, tally: Tally, done: int) -> None:  # type: ignore[type-arg]
    from bakehouse.executor.process import Children
    from bakehouse.executor.shared_store import Remote

    alone, store = Store(folder / "alone"), Store(folder / f"asker-{done}")
    for one in steps:
        make(one, Session(alone))
    Remote(store, Children(), {"PIPELINE_REMOTE": shared}).supply(steps, lambda line: None)
    for one in steps:
        brought, made = store.record(one), alone.record(one)
        if not brought or not made or brought.files != made.files:
            tally.wrong(f"cluster, kill {done}: {one.label} has other bytes than on one machine")
