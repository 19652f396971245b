"""One run of the pipeline: its store, its children, and who watches how far each step is."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from bakehouse.executor import memory, version
from bakehouse.executor.listen import Progress
from bakehouse.executor.process import Children
from bakehouse.records import Builder
from bakehouse.steps.step import Step
from bakehouse.store.store import Store
from bakehouse.tasks.text_generation.workers.answers import processor

Tell = Callable[[Step, Progress], None]


def _nobody(step: Step, progress: Progress) -> None:
    """Progress that no one watches."""


def _no_more(step: Step) -> None:
    """Nothing is done with a step beyond making it."""


class Room:
    """The memory of this machine, for steps that may run side by side: those that would not fit together wait for each other."""

    def __init__(self, available: Callable[[], int] = memory.available_bytes) -> None:
        self._available = available
        self._total = 0
        self._held: list[int] = []
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size_bytes: int, on_wait: Callable[[], None]) -> Iterator[None]:
        """Run with so much memory reserved; the first always may, and `on_wait` is called once if this one has to wait."""
        with self._changed:
            if not self._held:
                self._total = self._available()
            if not self._fits(size_bytes):
                on_wait()
            self._changed.wait_for(lambda: self._fits(size_bytes))
            self._held.append(size_bytes)
        try:
            yield
        finally:
            with self._changed:
                self._held.remove(size_bytes)
                self._changed.notify_all()

    def _fits(self, size_bytes: int) -> bool:
        return not self._held or sum(self._held) + size_bytes <= self._total


@dataclass(frozen=True)
class Session:
    """What a stage needs besides the step: where things lie, the children that run, and who watches."""

    store: Store
    children: Children = field(default_factory=Children)
    tell: Tell = _nobody
    room: Room = field(default_factory=Room)
    made: Callable[[Step], None] = _no_more  # called with every step that a task has made


def machine() -> dict[str, str]:
    """The class of this machine (never its name), for manifests: what a measured number was measured on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory.total_bytes() / 2**30:.0f} GiB",
        "python": platform.python_version(),
    }


def builder(environ: Mapping[str, str] = os.environ) -> Builder:
    """What runs this build, and which Bakehouse: in GitHub Actions the workflow at its commit and the run, elsewhere a machine unnamed."""
    server, workflow = environ.get("GITHUB_SERVER_URL"), environ.get("GITHUB_WORKFLOW_REF")
    here = Builder(version=version.installed(), commit=version.commit())
    if not (environ.get("GITHUB_ACTIONS") and server and workflow):
        return here
    run = f"{environ.get('GITHUB_REPOSITORY')}/actions/runs/{environ.get('GITHUB_RUN_ID')}/attempts/{environ.get('GITHUB_RUN_ATTEMPT')}"
    return here.model_copy(update={"id": f"{server}/{workflow}", "invocation": f"{server}/{run}"})
