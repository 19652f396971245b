"""A limit on what a child and its descendants hold, for where several share a machine: it is looked at, and beyond it the child is ended.

What the kernel could drop at once, such as mapped weights, does not count. A group of the kernel's own (cgroups) would be exact, and is for
whoever starts the workers: a process may not make one by itself on most machines.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_EVERY_S = 0.25


@dataclass
class Held:
    """What a child held in bytes when it was ended for it; 0 if it was not."""

    beyond_bytes: int = 0


@contextmanager
def kept(pid: int, limit_bytes: int | None, end: Callable[[], None]) -> Iterator[Held]:
    """Watch over a child while this lasts, and `end` it when it holds more than the limit; no limit for None."""
    held, over = Held(), threading.Event()
    if limit_bytes is None:
        yield held
        return

    def look() -> None:
        while not over.wait(_EVERY_S):
            if (found := own_bytes(pid)) > limit_bytes:
                held.beyond_bytes = found
                end()
                return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield held
    finally:
        over.set()
        thread.join()


def own_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants, without what is mapped from files or shared (where the system tells)."""
    import psutil

    total = 0
    with suppress(psutil.Error):
        for one in (process := psutil.Process(pid), *process.children(recursive=True)):
            with suppress(psutil.Error):  # it has ended meanwhile
                found = one.memory_info()
                total += found.rss - getattr(found, "shared", 0)
    return total
