"""Has the forking processes make and try what is wanted, several at once, and gathers the outcomes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from bakehouse.toolchains.table import INSTALLED, TOOLCHAINS
from bakehouse.toolchains.table import Name as Toolchain
from tests.architectures import making
from tests.architectures.outcomes import Found, Outcome
from tests.support import standin, worker

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 300.0
_printing = threading.Lock()


@dataclass(frozen=True)
class Wanted:
    """What is tried; `first` is the toolchain's folder, None for the installed versions."""

    names: tuple[str, ...]
    runtimes: tuple[str, ...]
    toolchain: Toolchain = INSTALLED
    first: Path | None = None
    upstream: bool = False


def installed(toolchain: Toolchain) -> Path | None:
    """The folder of a toolchain, its wheels installed once a machine; None for the one that is installed anyway."""
    if toolchain == INSTALLED:
        return None
    words = ["install", "--quiet", "--no-deps", "--require-hashes", "--disable-pip-version-check", "-r", str(TOOLCHAINS[toolchain].lock)]

    def install(files: Path) -> None:
        subprocess.run([sys.executable, "-m", "pip", *words, "--target", str(files)], check=True)

    return standin.made_once(toolchain, install)


class Child:
    """A process that forks for every job; see `children`."""

    def __init__(self, toolchain: Path | None) -> None:
        places = [*([str(toolchain)] if toolchain else []), str(ROOT / "pipeline"), str(ROOT)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_", "BAKEHOUSE_EVENTS"))}
        env = clean | {"PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1"}
        words = [sys.executable, "-m", "tests.architectures.children"]
        self.process = subprocess.Popen(
            words, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout and self.process.stdout.readline() == "ready\n", "the converters cannot be imported"

    def do(self, log: Path, **job: Any) -> tuple[int, dict[str, Any]]:
        """Have a job done: its exit code, and what it left."""
        assert self.process.stdin and self.process.stdout
        result = log.with_suffix(".json")
        job |= {"log": str(log), "result": str(result), "scratch": str(log.with_suffix(".scratch")), "limit_s": LIMIT_S}
        self.process.stdin.write(json.dumps(job, default=str) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        shutil.rmtree(job["scratch"], ignore_errors=True)
        return code, json.loads(result.read_text(encoding="utf-8")) if result.is_file() else {}

    def end(self) -> None:
        self.process.communicate()


@contextmanager
def children(count: int, toolchain: Path | None) -> Iterator[SimpleQueue[Child]]:
    """So many processes, for whoever takes one and puts it back."""
    queue: SimpleQueue[Child] = SimpleQueue()
    with ThreadPoolExecutor(count) as pool:
        made = list(pool.map(lambda _: Child(toolchain), range(count)))
    for child in made:
        queue.put(child)
    try:
        yield queue
    finally:
        for child in made:
            child.end()


def all_of(wanted: Wanted, folder: Path, at_once: int) -> Found:
    """The outcomes of all that is wanted, by architecture and runtime."""
    _checkpoints(wanted.names, folder, at_once)
    with children(at_once, wanted.first) as queue, ThreadPoolExecutor(at_once) as pool:

        def one(name: str) -> dict[str, Outcome]:
            child = queue.get()
            try:
                return _architecture(child, wanted, name, folder / name)
            finally:
                queue.put(child)

        return dict(zip(wanted.names, pool.map(one, wanted.names), strict=True))


def _checkpoints(names: tuple[str, ...], folder: Path, at_once: int) -> None:
    """Have the checkpoints made by the installed transformers, whatever converts them."""
    absent = [name for name in names if not making.place(name).is_dir()]
    if not absent:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with children(1, None) as queue:
        child = queue.get()
        for name in absent:
            code, _ = child.do(folder / f"checkpoint-{name}.log", kind="checkpoint", name=name)
            assert code == 0, (folder / f"checkpoint-{name}.log").read_text(encoding="utf-8")[-2000:]


def _architecture(child: Child, wanted: Wanted, name: str, folder: Path) -> dict[str, Outcome]:
    """The outcomes of one architecture; artifacts are removed, logs stay."""
    shutil.rmtree(folder, ignore_errors=True)
    source, work = folder / "reference", folder / "work"
    source.mkdir(parents=True)
    work.mkdir()
    places: dict[str, Any] = {"checkpoint": making.place(name), "work": work, "source": source, "toolchain": wanted.toolchain}
    code, _ = child.do(folder / "reference.log", kind="reference", **places)
    found: dict[str, Outcome] = {}
    for runtime in wanted.runtimes:
        started = time.monotonic()
        if code != 0:
            found[runtime] = Outcome(
                outcome="fails", stage="reference", why=_refused(folder / "reference.log") or _last_line(folder / "reference.log")
            )
        else:
            found[runtime] = _lane(child, "lane", runtime, folder, places)
            if wanted.upstream and found[runtime].outcome != "agrees":
                alone = _lane(child, "upstream", runtime, folder, places)
                found[runtime] = found[runtime].model_copy(update={"upstream": alone})
        with _printing:
            print(f"{name:20} {runtime:18} {time.monotonic() - started:5.1f} s  {found[runtime].words()}", flush=True)
    shutil.rmtree(work, ignore_errors=True)
    return found


def _lane(child: Child, kind: str, runtime: str, folder: Path, places: dict[str, Any]) -> Outcome:
    log = folder / f"{kind}-{runtime}.log"
    code, left = child.do(log, kind=kind, runtime=runtime, **places)
    if not left:
        left = {"outcome": "fails", "stage": "conversion", "why": _last_line(log)}
    elif code != 0 and left.get("why") == "the process ended":
        left["why"] = f"the process ended with signal {-code}" if code < 0 else _last_line(log)
    if left["outcome"] == "refused" and not left.get("why"):
        others = (path for path in sorted(folder.glob("lane-*.log")) if path != log)  # what runtimes share is made, and refused, once
        left["why"] = next(filter(None, map(_refused, (log, *others))), "")
    left["why"] = _without_paths(left.get("why", ""), places)
    return Outcome.model_validate(left)


def _without_paths(text: str, places: dict[str, Any]) -> str:
    """A sentence without the folders of this run, and without addresses in memory."""
    for name, word in (("checkpoint", "MODEL"), ("work", "WORK")):
        text = text.replace(str(places[name]), word)
    text = re.sub(r"(MODEL|WORK)(/[\w.-]+)+", r"\1", text)
    return re.sub(r"Parameter_\d+", "Parameter", text)[:400]


def _refused(log: Path) -> str:
    """What a worker refused with; "" if it did not."""
    return worker.heard(3, log.read_text(encoding="utf-8", errors="replace").splitlines()).refusal.replace("\n", " ")


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
