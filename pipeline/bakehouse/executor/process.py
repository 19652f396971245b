"""The one place that starts processes: runs a command in a child, keeps its log, passes on what it reports, and ends it for certain."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Protocol

from pydantic import JsonValue

from bakehouse.child import credentials
from bakehouse.executor import channel as channels
from bakehouse.executor import interrupt, memory_limit, windows_job
from bakehouse.executor.channel import Channel
from bakehouse.executor.ended import Ended, Ran, interrupted
from bakehouse.executor.listen import Listener, Progress
from bakehouse.steps.maker import Command
from bakehouse.steps.seam import REQUEST, RESULT, Report

_AFTER_KILL_S = 10.0
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
# Weights are blocks of many megabytes, again and again: in pages of 2 MB a compression takes two thirds of the time (glibc 2.35 and later;
# what does not know it passes over it).
#
# Threads of torch that wait for each other do so asleep: by default they spin, and with another child on the same processors that takes
# the time from the one they wait for. On two cores an answer took 3.5 s beside another in place of 9, and no longer alone.
_FAST = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "OMP_WAIT_POLICY": "PASSIVE"}
_QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True)
class Finished:
    """A child that ended with success: its result, its wall time in seconds and peak resident memory in bytes (0 if unknown)."""

    report: Report
    seconds: float
    peak_memory_bytes: int


class Talk(Protocol):
    """One side of a conversation with a worker, which reads lines from its standard input; the other calls come from `run`'s thread."""

    def begins(self, to_worker: IO[bytes]) -> None:
        """The worker has been started; closing `to_worker` is what ends it. `run` closes it too."""
        ...

    def hears(self, message: Mapping[str, JsonValue]) -> None:
        """The worker has sent this with `events.say`."""
        ...


class Children:
    """The children that run now, so that an interrupt can end them all, whichever thread waits for them.

    Attributes:
        limit_bytes: what one of them may hold with its descendants; None for whatever there is.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        self.limit_bytes = limit_bytes
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self.stopping = False

    def start(self, launch: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Start a child and enter it; `stop` waits for that, because it could not end a child that it does not know.

        Raises:
            Failure: the children have been stopped, and none is started any more.
        """
        with self._lock:
            if self.stopping:
                raise interrupted()
            child = launch()
            self._running.add(child)
            return child

    def discard(self, child: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(child)

    def stop(self) -> None:
        """Kill every running child with all its descendants, and let none start any more."""
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
    talk: Talk | None = None,
) -> Finished:
    """Run `command` in a child process and wait for its end.

    Args:
        children: where the child is entered while it runs.
        log: gets everything the child prints, as it comes.
        scratch: its working directory and its folder for temporary files.
        talk: who talks with the worker while it runs; without one it has no standard input.

    Raises:
        Failure: it refused, failed, or was killed; with what it was doing, what it ended with, and the log's path.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    argv = with_request(command, scratch)
    started = time.monotonic()
    listener = Listener(on_progress, talk.hears) if talk else Listener(on_progress)
    ended = _followed(command, argv, children, log, scratch, listener, talk)
    if ended.code != 0:
        raise interrupted() if children.stopping else Ran(command, as_typed(argv), listener, log, children.limit_bytes).failure(ended)
    return Finished(Report(left_result(scratch)), time.monotonic() - started, ended.peak_bytes or listener.peak_bytes)


def with_request(command: Command, scratch: Path) -> tuple[str, ...]:
    """The program and arguments; a worker's request is written down first, and the two files of its seam are the last arguments."""
    request, result = scratch / REQUEST, scratch / RESULT
    result.unlink(missing_ok=True)
    if command.request is None:
        return tuple(command.argv)
    request.write_text(command.request.model_dump_json(indent=2) + "\n", encoding="utf-8", newline="\n")
    return (*command.argv, str(request), str(result))


def left_result(scratch: Path) -> dict[str, JsonValue]:
    """What the worker left; nothing for a worker without results."""
    try:
        found: dict[str, JsonValue] = json.loads((scratch / RESULT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def _followed(
    command: Command, argv: Sequence[str], children: Children, log: Path, scratch: Path, listener: Listener, talk: Talk | None
) -> Ended:
    """Start a child and listen to it until its end. Whatever happens here ends it."""
    with channels.opened() as channel:
        child: subprocess.Popen[bytes] | None = None
        try:
            with interrupt.held_back():  # between its start and here, a child could not be ended
                child = children.start(lambda: _launched(command, argv, scratch, channel, talks=talk is not None))
            channel.child_has_it()
            with memory_limit.kept(child.pid, children.limit_bytes, partial(_kill, child)) as held:
                if talk and child.stdin:
                    talk.begins(child.stdin)
                with log.open("ab", buffering=0) as file:
                    file.write(_head(command, argv))
                    _listen(child, channel, listener, file.write)
                code, peak = _wait(child)
            return Ended(code, peak, held.beyond_bytes)
        except BaseException:
            if child:
                _kill(child)
                with contextlib.suppress(subprocess.TimeoutExpired):  # one that hangs in the kernel must not hang us
                    child.wait(_AFTER_KILL_S)
            raise
        finally:
            if child:
                children.discard(child)
                windows_job.release(child)
                for pipe in (child.stdin, child.stdout):
                    if pipe:
                        with contextlib.suppress(OSError):  # what is left to be written has no reader any more
                            pipe.close()


def _launched(command: Command, argv: Sequence[str], scratch: Path, channel: Channel, *, talks: bool) -> subprocess.Popen[bytes]:
    """A child that has just been started, in a group of its own."""
    child = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=scratch,
        env=_environment(command, scratch) | channel.environment(),
        start_new_session=True,  # a Ctrl-C is ours to handle, and all descendants can be killed at once
        creationflags=windows_job.START_FLAGS,
        pass_fds=channel.pass_fds(),
        startupinfo=channel.startupinfo(),
    )
    windows_job.take(child)
    return child


def _head(command: Command, argv: Sequence[str]) -> bytes:
    """The first lines of a log: the command, and the request that it reads."""
    request = f"{command.request.model_dump_json()}\n" if command.request else ""
    return f"$ {as_typed(argv)}\n{request}".encode()


def _listen(child: subprocess.Popen[bytes], channel: Channel, listener: Listener, keep: Callable[[bytes], object]) -> None:
    """Keep all that comes out of the child, and have the listener hear it."""
    assert child.stdout
    lines = channels.Lines()
    for block in channels.blocks(child.stdout.fileno(), channel):
        keep(block.data)
        for line in lines.of(block):
            listener.hear(line)


def as_typed(argv: Sequence[str], platform: str = sys.platform) -> str:
    """A command as one line that a person can type on this system: quoted for a POSIX shell, on Windows as its C runtime splits it.

    What is written into a package has to be the same bytes on all systems: `shlex.join` there.
    """
    return subprocess.list2cmdline(argv) if platform == "win32" else shlex.join(argv)


def _environment(command: Command, scratch: Path) -> dict[str, str]:
    """This environment without credentials, offline and quiet; only a command that needs them is online and gets the hub's token."""
    here = str(Path(__file__).resolve().parents[2])
    first = [os.fspath(command.first)] if command.first else []
    paths = [here, *first, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **_FAST,
        **credentials.without(os.environ, online=command.needs_network),
        **(credentials.of_hub(os.environ) if command.hub_token else {}),
        **({} if command.needs_network else _OFFLINE),
        **_QUIET,
        "PYTHONPATH": os.pathsep.join(paths),
        **({"PYTHONDONTWRITEBYTECODE": "1"} if first else {}),  # what lies in the store is sealed
        "TMPDIR": str(scratch),
        "TEMP": str(scratch),
        "TMP": str(scratch),
        "BAKEHOUSE_PARENT": str(os.getpid()),
        **command.env,
    }


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
