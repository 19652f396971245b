"""Download, import, export, quantize: every step that a source or a backend has a child process make, read back before it counts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from pipeline.backends import BACKENDS
from pipeline.maker import Maker
from pipeline.process import Progress
from pipeline.session import Session
from pipeline.stages.making import Made, make, run_child
from pipeline.step import Step
from pipeline.store import Staging


def run(step: Step, maker: Maker, session: Session) -> None:
    """Make `step` by its maker's command and hold the result against what was asked.

    Raises:
        Failure: the child failed, or what it made is not what was asked.
    """
    inputs = {role: session.store.files(needed) for role, needed in step.needs}

    def fill(staging: Staging) -> Made:
        finished, ran = run_child(maker.command(step, inputs, staging.files), step, session, staging)
        return Made(maker.verify(step, inputs, staging.files, finished.facts), (ran,), finished.facts)

    with _room(step, inputs, session):
        make(step, session, fill)


def _room(step: Step, inputs: Mapping[str, Path], session: Session) -> AbstractContextManager[None]:
    """What a step that its backend would not have beside too many others waits for."""
    backend = BACKENDS.get(step.maker)
    takes = backend.memory_beside(step, inputs) if backend else 0
    waiting = Progress("waiting until there is memory for another of its kind")
    return session.room.hold(takes, lambda: session.tell(step, waiting)) if takes else nullcontext()
