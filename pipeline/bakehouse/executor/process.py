"""The one place that starts processes: runs a command in a child, keeps its log, passes on what it says, and ends it for certain."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bakehouse.child import credentials
from bakehouse.child.events import MARK
from bakehouse.child.own_memory import PEAK
from bakehouse.errors import Failure
from bakehouse.executor import crash, memory, windows_job
from bakehouse.steps.maker import Command

_LAST_LINES = 15
_AFTER_KILL_S = 10.0
_LARGE = 0.5  # of the machine's memory: with all else that runs, a child that held more was most likely killed for it
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
# Weights are blocks of many megabytes, again and again: in pages of 2 MB a compression takes two thirds of the time (glibc 2.35 and later;
# what does not know it passes over it).
_FAST = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
_QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
_PERCENT = re.compile(r"\b(\d{1,3})%")


@dataclass(frozen=True)
class Progress:
    """What a child says it is doing; `done` of `total` in `unit` ("B" for bytes, "%") where it is known."""

    doing: str
    done: float | None = None
    total: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class Finished:
    """A child that ended well: what it reported, its wall time in seconds and peak resident memory in bytes (0 if unknown)."""

    facts: Mapping[str, Any]
    seconds: float
    peak_memory_bytes: int


@dataclass
class _Heard:
    facts: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, Any] | None = None
    crashed: crash.Crash | None = None
    last: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    doing: str = ""


class Children:
    """The children that run now, so that an interrupt can end them all, whichever thread waits for them."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self.stopping = False

    def add(self, child: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.add(child)
            late = self.stopping
        if late:
            _kill(child)

    def discard(self, child: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(child)

    def stop(self) -> None:
        """Kill every running child with all its descendants, and every one that is started later."""
        with self._lock:
            self.stopping = True
            running = list(self._running)
        for child in running:
            _kill(child)


def run(
    command: Command,
    *,
    children: Children,
    log: Path,
    scratch: Path,
    on_progress: Callable[[Progress], None],
) -> Finished:
    """Run `command` in a child process and wait for its end.

    Args:
        children: where the child is entered while it runs.
        log: gets everything the child prints, as it comes.
        scratch: its working directory and its folder for temporary files.

    Raises:
        Failure: it refused, failed, or was killed; with what it was doing, what it ended with, and the log's path.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    child = subprocess.Popen(
        command.argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=scratch,
        env=_environment(command, scratch),
        start_new_session=True,  # a Ctrl-C is ours to handle, and all descendants can be killed at once
        creationflags=windows_job.START_FLAGS,
    )
    windows_job.take(child)
    children.add(child)
    heard = _Heard()
    try:
        with log.open("ab", buffering=0) as file:
            file.write(f"$ {as_typed(command.argv)}\n".encode())
            for line in _lines(child, file.write):
                _hear(line, heard, on_progress)
        code, peak = _wait(child)
    except BaseException:
        _kill(child)
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that hangs in the kernel must not hang us
            child.wait(_AFTER_KILL_S)
        raise
    finally:
        children.discard(child)
        windows_job.release(child)
        if child.stdout:
            child.stdout.close()
    if code != 0:
        raise _failure(command, code, heard, log, children.stopping, peak)
    reported = heard.facts.pop(PEAK, 0)
    return Finished(heard.facts, time.monotonic() - started, peak or reported)


def as_typed(argv: Sequence[str], platform: str = sys.platform) -> str:
    """A command as one line that a person can type on this system: quoted for a POSIX shell, on Windows as its C runtime splits it.

    What is written into a package has to be the same bytes on all systems: `shlex.join` there.
    """
    return subprocess.list2cmdline(argv) if platform == "win32" else shlex.join(argv)


def _environment(command: Command, scratch: Path) -> dict[str, str]:
    """This environment without credentials, offline and quiet; only a command that needs them is online and gets the hub's token."""
    here = str(Path(__file__).resolve().parents[2])
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **_FAST,
        **credentials.without(os.environ, online=command.needs_network),
        **(credentials.of_hub(os.environ) if command.hub_token else {}),
        **({} if command.needs_network else _OFFLINE),
        **_QUIET,
        "PYTHONPATH": os.pathsep.join(paths),
        "TMPDIR": str(scratch),
        "TEMP": str(scratch),
        "TMP": str(scratch),
        "BAKEHOUSE_PARENT": str(os.getpid()),
        **command.env,
    }


def _lines(child: subprocess.Popen[bytes], keep: Callable[[bytes], object]) -> Iterator[str]:
    """What the child prints, a line at a time; a carriage return ends a line too, so that progress bars are heard at once."""
    assert child.stdout
    rest = b""
    while block := os.read(child.stdout.fileno(), 65536):
        keep(block)
        *whole, rest = re.split(rb"[\r\n]", rest + block)
        yield from (line.decode("utf-8", "replace") for line in whole if line.strip())
    if rest.strip():
        yield rest.decode("utf-8", "replace")


def _hear(line: str, heard: _Heard, on_progress: Callable[[Progress], None]) -> None:
    event = _event(line)
    if event is None:
        heard.last.append(line.rstrip()[:300])
        if heard.doing and (percent := _PERCENT.search(line)):
            on_progress(Progress(heard.doing, float(percent[1]), 100.0, "%"))
        return
    match event["event"]:
        case "progress":
            heard.doing = event["doing"]
            on_progress(Progress(event["doing"], event["done"], event["total"], event["unit"]))
        case "result":
            heard.facts = _joined(heard.facts, event["facts"])
        case "refused":
            heard.refused = event
        case "crashed":
            heard.crashed = crash.of_event(event)


def _joined(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of two calls as one: lists of the same name one after the other, of anything else the later."""
    lists = {name: [*before[name], *value] for name, value in now.items() if isinstance(value, list) and isinstance(before.get(name), list)}
    return {**before, **now, **lists}


def _event(line: str) -> dict[str, Any] | None:
    """The event in a line; None for text, and for what a child that was killed has written of an event."""
    if not line.startswith(MARK):
        return None
    try:
        event = json.loads(line.removeprefix(MARK))
    except json.JSONDecodeError:
        return None
    return event if isinstance(event, dict) else None


def _wait(child: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Exit code and peak resident memory in bytes (0 where the system does not tell, and the worker's own report counts)."""
    if sys.platform == "win32":
        return child.wait(), 0
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill a child and its descendants; one that is gone already is fine."""
    if sys.platform == "win32":
        windows_job.end(child)
        return
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _killed(peak: int) -> tuple[str, str]:
    """What a kill is said to come from, and what to do; `peak` is the most memory that the child held, in bytes."""
    held = f"it held {peak / 1e9:.1f} GB"
    if peak > _LARGE * memory.total_bytes():
        what = f"the child process was killed by the system, most likely for want of memory ({held})"
        return what, "close other programs, use a machine with more memory, or run without -n"
    what = f"the child process was killed from outside ({held})"
    return what, "run it again; if nobody ended it, the system's log tells who did, such as a container's own limit of memory"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _failure(command: Command, code: int, heard: _Heard, log: Path, stopping: bool, peak: int) -> Failure:
    if stopping:
        return Failure("interrupted", remedy="run it again: it goes on from the last whole step")
    if heard.refused:
        event = heard.refused
        return Failure(event["what"], remedy=event["remedy"], details=tuple(event["details"]))
    if sys.platform != "win32" and code == -signal.SIGKILL:
        what, remedy = _killed(peak)
        details = (f"command: {as_typed(command.argv)}", *heard.last, f"log: {log}")
        return Failure(what, remedy=remedy, details=details)
    fell = heard.crashed or crash.of_lines(heard.last)
    if fell and code > 0:
        return crash.failure(fell, heard.doing, command.argv, log)
    how = f"died of {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
    return crash.ended(how, heard.doing, [] if fell else list(heard.last), log)
