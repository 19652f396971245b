"""A cluster of processes of this machine for tests and benchmarks, and made-up steps for its workers: a child each, a few lines long."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bakehouse.cluster import work
from bakehouse.cluster.engine import Task
from bakehouse.executor.session import Session
from bakehouse.stages import convert
from bakehouse.steps.step import Step
from tests.support.bench import CHILDREN, ROOT, wait_for
from tests.support.fakes import FakeMaker, step

PROGRAM = "(files / 'made.txt').write_text('made of ' + OPTIONS['of'])"


def made_up(of: str, needs: Iterable[tuple[str, Step]] = (), kind: str = "compress", **options: Any) -> Step:
    """A step that writes what it is made of; `program` among the options does something else."""
    return step(kind, of, tuple(needs), of=of, **options)


def task(wanted: Step, shared_store: str, takes: Mapping[str, float] | None = None) -> Task:
    """The task of a made-up step."""
    return Task(wanted, json.dumps({"step": _told(wanted), "shared_store": shared_store}), takes or {})


def carry_out(text: str, *needed: work.Made) -> work.Made:
    """What a worker does for such a task; with `work.carry_out` it shares all but how the step is found and which program makes it."""
    told = json.loads(text)
    return work.done(lambda: _step(told["step"]), make, told["shared_store"])


def make(wanted: Step, session: Session) -> None:
    """Make such a step."""
    program = f"OPTIONS = {wanted.options!r}\n" + wanted.options.get("program", PROGRAM)
    convert.run(wanted, FakeMaker(program), session)


def _told(wanted: Step) -> dict[str, Any]:
    needs = [[role, _told(needed)] for role, needed in wanted.needs]
    return {"kind": wanted.kind, "label": wanted.label, "options": wanted.options, "needs": needs}


def _step(told: Mapping[str, Any]) -> Step:
    return step(told["kind"], told["label"], tuple((role, _step(one)) for role, one in told["needs"]), **told["options"])


@dataclass
class Machines:
    """The processes of a cluster, each in a folder of its own; `env` is what they have in common."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    processes: dict[str, psutil.Popen] = field(default_factory=dict)
    address: str = ""

    @property
    def shared_store(self) -> str:
        return f"file://{self.folder}/shared"

    @property
    def environ(self) -> dict[str, str]:
        paths = os.pathsep.join((CHILDREN, str(ROOT), str(ROOT / "pipeline")))
        return {**os.environ, "PIPELINE_REMOTE": self.shared_store, "PYTHONPATH": paths, **self.env}

    def start(self, name: str, *words: str) -> None:
        """Start a process of it."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "out.txt").open("ab") as out:
            self.processes[name] = psutil.Popen(
                [sys.executable, "-m", "bakehouse.app.main", *words],
                cwd=folder,
                env={**self.environ, "PIPELINE_ARTIFACTS": str(folder / "artifacts")},
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def said(self, name: str) -> str:
        """What a process has printed."""
        return (self.folder / name / "out.txt").read_text(encoding="utf-8")

    def start_scheduler(self, port: int = 0, *words: str) -> None:
        """Start the scheduler."""
        self.start("scheduler", "cluster", "scheduler", "--port", str(port), *words)
        wait_for(lambda: "scheduler at " in self.said("scheduler"), self.processes["scheduler"])
        self.address = self.said("scheduler").rpartition("scheduler at ")[2].partition(";")[0]

    def start_workers(self, *names: str, count: int = 1) -> None:
        """Start workers, each with a store of its own."""
        for name in names:
            self.start(name, "worker", self.address, "--count", str(count))
        for name in names:
            wait_for(lambda name=name: "; Ctrl-C stops them" in self.said(name), self.processes[name])

    def worker_processes(self, name: str) -> list[psutil.Process]:
        """Those that work, below the nanny that starts them again."""
        return [child for child in self.processes[name].children() if is_worker(child)]

    def end(self) -> None:
        """End all of it."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except psutil.TimeoutExpired:
                for one in (*process.children(recursive=True), process):
                    one.kill()


def is_worker(child: psutil.Process) -> bool:
    """Whether it works, and does not only start what does."""
    try:
        return "spawn_main" in " ".join(child.cmdline())
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return False


@contextmanager
def machines(folder: Path, *workers: str, **env: str) -> Iterator[Machines]:
    """A scheduler and workers, until the block ends."""
    made = Machines(folder, env)
    try:
        made.start_scheduler()
        made.start_workers(*workers)
        yield made
    finally:
        made.end()
