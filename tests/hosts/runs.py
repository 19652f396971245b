"""Builds on the hosts: each a command of a person, and what it came to."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bakehouse.records import StepRecord
from bakehouse.release import rebuild
from bakehouse.store.store import read_record
from tests.hosts import network
from tests.hosts.network import Traffic
from tests.hosts.recipes import NAME
from tests.hosts.site import ADDRESS, ASKER, WORKERS, Site
from tests.support.lanes import bytes_of

Event = tuple[float, str, str, str]
Act = Callable[[threading.Event], None]
_LONGEST_S = 3600.0
_BRINGS, _WAITS = "bringing what it needs", "waiting for the shared store"


@dataclass(frozen=True)
class Done:
    """A build: how it ended, what it printed, how long it took, and what each host sent and received meanwhile."""

    code: int
    said: str
    seconds: float
    moved: Mapping[str, Traffic]


def build(site: Site, name: str, *words: str, cluster: bool = True, meanwhile: Act = lambda over: None) -> Done:
    """Have the asker build the recipe, or what `words` name, into the folder `name`.

    `meanwhile` is called at the same time, in a thread, with an event that is set when the build has ended.

    Raises:
        RuntimeError: it takes more than an hour, or `meanwhile` failed.
    """
    before, begun = network.traffic(), time.monotonic()
    home = site.folder / name
    env = site.env(ASKER, cluster=cluster) | {"PIPELINE_ARTIFACTS": str(home / "artifacts")}
    where = ("--cluster", ADDRESS) if cluster else ()
    process = ASKER.start((sys.executable, "-m", "bakehouse.app.main", "build", *(words or (NAME,)), *where), home, env)
    thread = _Meanwhile(meanwhile)
    thread.start()
    try:
        code = process.wait(_LONGEST_S)
        seconds = time.monotonic() - begun
    except psutil.TimeoutExpired:
        raise RuntimeError(f"the build takes more than {_LONGEST_S:.0f} s") from None
    finally:
        thread.ended.set()
        thread.join()
    if thread.error:
        raise RuntimeError(f"during the build: {thread.error!r}") from thread.error
    moved = {one: now.since(before[one]) for one, now in network.traffic().items()}
    return Done(code, (home / "out.txt").read_text(encoding="utf-8", errors="replace"), seconds, moved)


class _Meanwhile(threading.Thread):
    def __init__(self, act: Act) -> None:
        super().__init__(daemon=True)
        self._act, self.ended = act, threading.Event()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._act(self.ended)
        except Exception as error:
            self.error = error


@dataclass
class Made:
    """A step that was asked of the cluster.

    Attributes:
        needs: the program or the network without which it cannot be made; "" if any host will do.
        by: who made it, or began to, in order.
        brought: how often a worker only brought it from the store, for others or since a worker that had it was lost.
        began, ended: when it was last begun, and complete.
    """

    name: str
    needs: str = ""
    by: list[str] = field(default_factory=list)
    brought: int = 0
    began: float = 0.0
    ended: float = 0.0

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def steps(site: Site, events: list[Event]) -> list[Made]:
    """The steps of a run, in the order in which they were complete."""
    known = {record.key: record for record in _records(*(site.folder / one.name for one in WORKERS))}
    made: dict[str, Made] = {}
    begun: dict[tuple[str, str], float] = {}  # what a worker has begun, and so far only brings from the store
    waits = set[tuple[str, str]]()
    for when, task, by, doing in sorted(events):
        key = task.rpartition("-")[2]
        step = made.setdefault(key, _named(known[key]) if key in known else Made(task))
        if doing.startswith(_WAITS):
            waits.add((key, by))
        elif doing.startswith(_BRINGS):
            if (key, by) in begun and (key, by) not in waits:
                step.brought += 1
            begun[key, by] = begun[key, by] if (key, by) in waits and (key, by) in begun else when
            waits.discard((key, by))
        else:
            if (key, by) in begun:
                step.by.append(by.partition("-")[0])
                step.began = begun.pop((key, by))
            waits.discard((key, by))
            step.ended = when
    for key, _ in begun:
        made[key].brought += 1
    return sorted(made.values(), key=lambda step: step.ended)


def _named(record: StepRecord) -> Made:
    sets_up = any(needed.startswith("setup/") for needed in record.needs.values())
    return Made(f"{record.kind} of {record.label}", record.maker if sets_up else "network" if record.kind == "download" else "")


def _records(*homes: Path) -> list[StepRecord]:
    found = (read_record(path) for home in homes for path in sorted((home / "artifacts" / "store").glob("*/*")))
    return [record for record in found if record]


@dataclass(frozen=True)
class Compared:
    """Two runs: files of packages that are the same, those that may differ, and what must not be; steps with the same bytes."""

    same: int
    exempt: tuple[str, ...]
    differs: tuple[str, ...]
    steps: int


def compare(alone: Path, asker: Path, *workers: Path) -> Compared:
    """Compare the packages of a run with those of one machine, and every step in a worker's store with that machine's own."""
    same, exempt, differs = 0, list[str](), list[str]()
    mine, theirs = ({path.name: path for path in (home / "artifacts" / "packages").iterdir()} for home in (alone, asker))
    differs += [f"{name}: not made by both" for name in sorted(mine.keys() ^ theirs.keys())]
    for name in sorted(mine.keys() & theirs.keys()):
        found = rebuild.compare(mine[name], theirs[name])
        same += len(found.same)
        exempt += [f"{name}/{line}" for line in found.exempt if "written again" not in line]
        differs += [f"{name}/{line}" for line in found.differs]
    own = {record.key: record for record in _records(alone)}
    equal = set[str]()
    for record in _records(*workers):
        if record.kind == "setup":
            continue
        one, other = (_same_always(bytes_of(found.files)) if found else None for found in (own.get(record.key), record))
        if one == other:
            equal.add(record.key)
        else:
            differs.append(f"{record.kind} of {record.label}: {sorted(set((one or {}).items()) ^ set((other or {}).items()))}")
    return Compared(same, tuple(exempt), tuple(differs), len(equal))


def _same_always(files: Mapping[str, str]) -> dict[str, str]:
    """Without blobs, which the compiler writes anew each time, and their descriptions, which have the digest of one."""
    varies = {path.removesuffix(".blob") + suffix for path in files if path.endswith(".blob") for suffix in (".blob", ".json")}
    return {path: sha256 for path, sha256 in files.items() if path not in varies}
