"""Let what must be done as a whole be done before Ctrl-C or SIGTERM breaks off the rest."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[None]:
    """Handle SIGINT and SIGTERM after the block, and not in the middle of it.

    A signal that is ignored stays ignored, because a child inherits that. Threads besides the main one handle no signals in any case.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def hold(number: int, frame: object) -> None:
        came.append(number)

    handlers = {number: handler for number in (signal.SIGINT, signal.SIGTERM) if callable(handler := signal.getsignal(number))}
    try:
        for number in handlers:
            signal.signal(number, hold)
        yield
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) is hold:
                signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)
