"""What it means that a child ended without success, in words: refused, crashed, killed, interrupted, or ended for its memory."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bakehouse.errors import Failure
from bakehouse.executor import crash, memory
from bakehouse.executor.listen import Listener
from bakehouse.steps.maker import Command
from bakehouse.steps.seam import Request

_LARGE = 0.5  # of the machine's memory: with all else that runs, a child that held more was most likely killed for it


class Ended(NamedTuple):
    """Exit code, peak resident memory (0 if unknown), and what it held beyond its limit (0 if it was not ended for that), in bytes."""

    code: int
    peak_bytes: int
    beyond_bytes: int


@dataclass(frozen=True)
class Ran:
    """A child that ran: its command, that as one would type it, what was heard of it, its log, and what it was allowed to hold."""

    command: Command
    typed: str
    heard: Listener
    log: Path
    limit_bytes: int | None

    def _details(self) -> tuple[str, ...]:
        return (f"command: {self.typed}", *self.heard.last, f"log: {self.log}")

    def failure(self, ended: Ended) -> Failure:
        """Why it did not end with success."""
        heard = self.heard
        if ended.beyond_bytes:
            what, remedy = _held_too_much(ended.beyond_bytes, self.limit_bytes or 0)
            return Failure(what, remedy=remedy, details=self._details())
        if heard.refused:
            return Failure(heard.refused.what, remedy=heard.refused.remedy, details=heard.refused.details)
        if sys.platform != "win32" and ended.code == -signal.SIGKILL:
            what, remedy = _killed(ended.peak_bytes)
            return Failure(what, remedy=remedy, details=self._details())
        fell = heard.crashed or crash.of_lines(heard.last)
        if fell and ended.code > 0:
            return crash.failure(fell, heard.doing, (*self.command.argv, *_words(self.command.request)), self.log)
        return crash.ended(crash.how(ended.code), heard.doing, [] if fell else list(heard.last), self.log)


def interrupted() -> Failure:
    """Children have been stopped by whoever runs them."""
    return Failure("interrupted", remedy="run it again: it goes on from the last complete step")


def _held_too_much(held_bytes: int, limit_bytes: int) -> tuple[str, str]:
    held, limit = f"{held_bytes / 1e9:.1f} GB", f"{limit_bytes / 1e9:.1f} GB"
    what = f"the child process held {held} of memory and was ended: it may hold {limit} here"
    return what, "make it on a machine or a worker with more memory"


def _killed(peak_bytes: int) -> tuple[str, str]:
    """Where a kill most likely comes from, and what to do, by the most memory that the child held."""
    held = f"it held {peak_bytes / 1e9:.1f} GB"
    if peak_bytes > _LARGE * memory.total_bytes():
        what = f"the child process was killed by the system, most likely for want of memory ({held})"
        return what, "close other programs, use a machine with more memory, or run without -n"
    what = f"the child process was killed from outside ({held})"
    return what, "run it again; if nobody ended it, the system's log names who did, such as a container's own limit of memory"


def _words(request: Request | None) -> list[str]:
    """The texts at the top of a request: the folders that a worker reads and fills are among them."""
    return [value for value in request.model_dump(mode="json").values() if isinstance(value, str)] if request else []
