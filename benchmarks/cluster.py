"""What Dask and its client cost on a cluster of processes of this machine, with made-up steps, and whether kills lose or repeat anything.

    python -m benchmarks.cluster --builds 1600 --workers 40 --kills 20

A step sleeps for a time that its key decides, and notes that it was made; it starts no child and moves no file, so that one machine can
play forty. `--real` has the steps made as real ones are: a child that makes it, others that talk to the shared store. Prints whether the
result is complete, what was made twice, the scheduler's processor time a step, and the makespan over that of an ideal list schedule.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from bakehouse.cluster import work
from bakehouse.cluster.engine import Cluster, Task
from bakehouse.steps.step import Step
from tests.support import cluster as made_up
from tests.support.cluster import Machines

MODELS = 8
SEED = 7


def steps_of(builds: int) -> list[Step]:
    """A download a model, and three steps a build, each after what it needs."""
    sources = [made_up.made_up(f"model-{number}", kind="download") for number in range(min(MODELS, builds))]
    found = list(sources)
    for number in range(builds):
        source = sources[number % len(sources)]
        converted = made_up.made_up(f"build-{number}", [("checkpoint", source)])
        checked = made_up.made_up(f"check-{number}", [("model", converted)], kind="validate")
        found += [converted, checked, made_up.made_up(f"package-{number}", [("model", converted), ("validate", checked)], kind="fidelity")]
    return found


def seconds_of(key: str, mean: float) -> float:
    """Between a half and three halves of the mean."""
    return mean * (0.5 + int(key[:8], 16) / 0xFFFFFFFF)


def sleeps(text: str, *needed: work.Made) -> work.Made:
    """What a worker does for a step: nothing if it is made, else it sleeps and notes it."""
    request = json.loads(text)
    note = Path(request["folder"]) / request["key"]
    if not note.exists():
        time.sleep(request["seconds"])
        try:
            note.touch(exist_ok=False)
        except FileExistsError:
            Path(f"{note}.twice-{os.getpid()}").touch()
    return work.Made(request["key"], 1_000_000)


def ideal(steps: Iterable[Step], workers: int, mean: float) -> float:
    """The makespan of a list schedule that costs nothing: whoever is free takes the next step whose needs are made."""
    steps = list(steps)
    waits = {step.key: len(step.needs) for step in steps}
    after: dict[str, list[str]] = {}
    for step in steps:
        for _, needed in step.needs:
            after.setdefault(needed.key, []).append(step.key)
    place = {step.key: number for number, step in enumerate(steps)}
    ready = sorted(place[key] for key, left in waits.items() if not left)
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            number = heapq.heappop(ready)
            heapq.heappush(running, (now + seconds_of(steps[number].key, mean), number))
        now, number = heapq.heappop(running)
        for key in after.get(steps[number].key, ()):
            waits[key] -= 1
            if not waits[key]:
                heapq.heappush(ready, place[key])
    return now


def kill_some(machines: Machines, kills: int, every_s: float, done: threading.Event, killed: list[int]) -> None:
    """Kill a worker at random, every so often."""
    chance = random.Random(SEED)
    while len(killed) < kills and not done.wait(every_s * chance.uniform(0.5, 1.5)):
        if there := machines.worker_processes("workers"):
            one = chance.choice(there)
            one.kill()
            killed.append(one.pid)


def measure(folder: Path, given: argparse.Namespace) -> None:
    """One run, and what it comes to."""
    steps = steps_of(given.builds)
    notes = folder / "notes"
    notes.mkdir()
    machines, done, killed = Machines(folder), threading.Event(), list[int]()
    machines.start_scheduler()
    machines.start_workers("workers", count=given.workers)
    try:
        asker = Cluster(machines.address)
        least = ideal(steps, given.workers, given.seconds)
        print(f"{given.builds} builds, {len(steps)} steps, {given.workers} workers, ideal {least:.1f} s", flush=True)
        if given.real:
            tasks, does = [made_up.task(step, machines.shared_store) for step in steps], made_up.carry_out
        else:
            tasks = [Task(step, request_of(step, notes, given.seconds), {}) for step in steps]
            from benchmarks.cluster import sleeps as does  # by its name, since a worker imports it
        begun, before, empty = time.monotonic(), processor_s(machines), machines.processes["scheduler"].memory_info().rss
        asker.submit(tasks, lambda step, progress: None, does)
        submitted = time.monotonic() - begun
        killer = threading.Thread(target=kill_some, args=(machines, given.kills, least / max(1, given.kills), done, killed))
        killer.start()
        for step in steps:
            asker.wait(step)
        took = time.monotonic() - begun
        spent, kb = processor_s(machines) - before, (machines.processes["scheduler"].memory_info().rss - empty) / 1000 / len(steps)
        done.set()
        killer.join()
        asker.close()
    finally:
        done.set()
        machines.end()
    shared = (
        {path.stem for path in (folder / "shared" / "steps").rglob("*.json")} if given.real else {path.name for path in notes.iterdir()}
    )
    twice = [name for name in shared if ".twice-" in name]
    missing = [step for step in steps if step.key not in shared]
    print(f"workers killed: {len(killed)}; steps missing: {len(missing)}; made twice: {'not noted' if given.real else len(twice)}")
    print(f"submitted in {submitted:.1f} s; scheduler: {1000 * spent / len(steps):.1f} ms of processor time and {kb:.1f} kB a step")
    print(f"makespan {took:.1f} s" + ("" if given.real else f", {took / least:.2f} of the ideal"))


def request_of(step: Step, notes: Path, mean: float) -> str:
    """The request for a step that only sleeps."""
    return json.dumps({"key": step.key, "folder": str(notes), "seconds": seconds_of(step.key, mean)})


def processor_s(machines: Machines) -> float:
    """Processor time of the scheduler so far."""
    times = machines.processes["scheduler"].cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--builds", type=int, default=1600)
    parser.add_argument("--workers", type=int, default=40)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a step takes, on average")
    parser.add_argument("--real", action="store_true", help="make the steps as real ones are made")
    with tempfile.TemporaryDirectory(prefix="bakehouse-cluster-") as folder:
        measure(Path(folder), parser.parse_args())


if __name__ == "__main__":
    main()
