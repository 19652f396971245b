"""A child that ended by an exception or a signal, in words: what it was doing, with which files, what it ended with, where its log is."""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.executor.events import CrashedEvent

_LONGEST = 500  # characters of a message in its sentence
_LINES = 8  # of a message that has several
_LAST_LINES = 5
_FRAME = re.compile(r'\s+File ".*", line \d+')
_LAST = re.compile(r"([A-Za-z_][\w.]*)(?:: .*|:?)")
_NO_MEMORY = re.compile(r"(?i)bad_alloc|can(?:'t|not) allocate memory|out of memory|failed to allocate")
# ntstatus.h: what Windows ends a process with where another system sends a signal
_STATUSES = {
    0xC0000005: "an access violation",
    0xC0000017: "a lack of memory",
    0xC000001D: "an illegal instruction",
    0xC0000094: "a division by zero",
    0xC00000FD: "a stack overflow",
    0xC0000135: "a DLL that is missing",
    0xC0000374: "a damaged heap",
    0xC0000409: "an abort",
}
_DISTRIBUTIONS = {"yaml": "pyyaml", "PIL": "pillow", "google": "protobuf", "sklearn": "scikit-learn", "cv2": "opencv-python"}


@dataclass(frozen=True)
class Crash:
    """An exception that nothing has caught.

    Attributes:
        message: its type and message, as Python shows them.
        kinds: the names of its type and of all above it.
        module: of an import, what could not be imported.
        file: of an error of the system, the file it is about.
        number: of an error of the system, its number.
    """

    message: str
    kinds: tuple[str, ...]
    module: str = ""
    file: str = ""
    number: int | None = None


def of_event(event: CrashedEvent) -> Crash:
    """What a worker has reported."""
    return Crash(event.message, event.kinds, event.module or "", event.file, event.number)


def of_lines(lines: Iterable[str]) -> Crash | None:
    """The exception at the end of a traceback among a child's last lines: of a program that reports nothing, or fell before it could."""
    lines = list(lines)
    frames = [number for number, line in enumerate(lines) if _FRAME.match(line)]
    rest = lines[frames[-1] + 1 :] if frames else []
    last = next((line for line in rest if not line.startswith(" ") and _LAST.fullmatch(line)), None)
    if last is None:
        return None
    module = re.search(r"No module named '([^']+)'", last)
    return Crash(last, (last.partition(":")[0].rpartition(".")[2],), module[1] if module else "")


def failure(crash: Crash, doing: str, argv: Sequence[str], log: Path) -> Failure:
    """The failure of a child that an exception has ended; `doing` is the last that it reported of its work."""
    lines = [line.rstrip() for line in crash.message.splitlines() if line.strip()] or ["an exception without a name"]
    kind = lines[0].partition(":")[0]
    last = lines[0] if len(lines) == 1 else f"{kind}: {lines[-1].strip()}"
    more = lines[:_LINES] if len(lines) > 1 else []
    file = [f"file: {crash.file}"] if crash.file and crash.file not in crash.message else []
    return Failure(
        f"the worker failed {_while(doing)}: {last if len(last) <= _LONGEST else f'{last[:_LONGEST]}…'}",
        remedy=_remedy(crash),
        details=(*more, *file, *_inputs(argv, log), f"log: {log}"),
    )


def ended(how: str, doing: str, lines: Sequence[str], log: Path) -> Failure:
    """The failure of a child that ended without an exception: by a signal, or with an exit code; `how` says which."""
    return Failure(
        f"the child process {how}{' ' * bool(doing)}{_while(doing) if doing else ''}",
        remedy="the log has all that it printed: look there for the reason, or report it with the log",
        details=(*lines[-_LAST_LINES:], f"log: {log}"),
    )


def how(code: int) -> str:
    """How a child has ended, by its exit code: negative for a signal, a status of Windows, or a plain number."""
    if code in _STATUSES:
        return f"died of {_STATUSES[code]} ({code:#x})"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"died of {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal
        return f"died of signal {-code}"


def _while(doing: str) -> str:
    return f"while {doing}" if doing else "at its start"


def _inputs(argv: Sequence[str], log: Path) -> list[str]:
    """What the command names of what was there before it: not the program, not what it makes."""
    paths = [Path(word) for word in argv[1:] if len(word) < _LONGEST and Path(word).is_absolute()]
    return [f"read from: {path}" for path in paths if path.exists() and not path.is_relative_to(log.parent)]


def _remedy(crash: Crash) -> str:
    if "MemoryError" in crash.kinds or crash.number == errno.ENOMEM or _NO_MEMORY.search(crash.message):
        return "close other programs, use a machine with more memory, or run without -n"
    if crash.number in (errno.ENOSPC, errno.EDQUOT):
        return "free space (`bakehouse prune` drops what no recipe uses) or point PIPELINE_ARTIFACTS at a larger disk, and run it again"
    if "ModuleNotFoundError" in crash.kinds and crash.module and "." not in crash.module:
        return f"`pip install {_DISTRIBUTIONS.get(crash.module, crash.module)}` in the environment that bakehouse runs in"
    if {"ImportError", "ModuleNotFoundError"} & {*crash.kinds}:
        return "install what it names in the environment that bakehouse runs in; `pip install 'bakehouse[build]'` brings the converters"
    if crash.file:
        return f"see that {crash.file} exists, is complete, and may be read and written"
    return "the log has the traceback: look there for the reason, or report it with the log"
