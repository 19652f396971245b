"""The watch over a step on a worker: passes on what it does, and ends it when nobody wants it any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from bakehouse.cluster import capacity
from bakehouse.executor.listen import Progress
from bakehouse.executor.process import Children
from bakehouse.steps.step import Step
from bakehouse.store.store import Store

TOPIC, LOGS = "bakehouse", "bakehouse-logs"
_AT_ONCE_BYTES = 64_000  # of a log, every time it is looked at
_EVERY_S = 0.5
_AGAIN_S = 1.0  # how often the same doing is reported anew


class Watch:
    """A step that runs in a thread of a Dask worker."""

    def __init__(self) -> None:
        from distributed import get_worker

        self._dask: Any = get_worker()
        self._key: str = self._dask.get_current_task()
        self.worker = str(self._dask.name)
        self.children = Children(limit_bytes=int(self._dask.state.total_resources.get(capacity.MEMORY, 0)) or None)
        self._told = ("", 0.0)
        self._store: Store | None = None
        self._step: Step | None = None
        self._passed_on = 0  # bytes of its log

    def follow(self, store: Store, step: Step) -> None:
        """Which step it is."""
        self._store, self._step = store, step

    def is_wanted(self) -> bool:
        """Whether somebody still waits for it: Dask forgets a task that nobody waits for, but cannot end its thread."""
        task = self._dask.state.tasks.get(self._key)
        return task is not None and task.state in ("executing", "long-running")

    def say(self, text: str) -> None:
        """Tell who asked what is done."""
        self._pass_on(Progress(text))

    def tell(self, step: Step, progress: Progress) -> None:
        """Tell who asked how far a step is, not too often."""
        doing, at = self._told
        if progress.doing != doing or time.monotonic() - at > _AGAIN_S:
            self._told = progress.doing, time.monotonic()
            self._pass_on(progress)

    def log(self, most: int) -> str:
        """The end of the log of the step that failed."""
        if self._store is None or self._step is None:
            return ""
        for path in (self._store.failed(self._step) / "log.txt", self._store.staging(self._step).log):
            if path.is_file():
                return path.read_text(encoding="utf-8", errors="replace")[-most:]
        return ""

    def pass_log_on(self) -> bool:
        """Send what has come into the log of the step since the last time, a piece of it; whether there was any."""
        new = self._new_in_log()
        if new:
            self._passed_on += len(new)
            self._dask.log_event(LOGS, {"key": self._key, "by": self.worker, "text": new.decode("utf-8", errors="replace")})
        return bool(new)

    def _new_in_log(self) -> bytes:
        """The log moves when the step is made or has failed, at any moment: what is then not found comes the next time."""
        if self._store is None or self._step is None:
            return b""
        for path in (self._store.staging(self._step).log, self._store.log(self._step), self._store.failed(self._step) / "log.txt"):
            with suppress(OSError), path.open("rb") as log:
                log.seek(self._passed_on)
                return log.read(_AT_ONCE_BYTES)
        return b""

    def _pass_on(self, progress: Progress) -> None:
        message: dict[str, str | float | None] = {"key": self._key, "by": self.worker, "doing": progress.doing}
        message |= {"done": progress.done, "total": progress.total, "unit": progress.unit}
        self._dask.log_event(TOPIC, message)


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch over the task of this thread."""
    watch, ended = Watch(), threading.Event()

    def look() -> None:
        while not ended.wait(_EVERY_S):
            if not watch.is_wanted():
                watch.children.stop()
                return
            watch.pass_log_on()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()
        while watch.pass_log_on():
            pass
