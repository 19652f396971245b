"""Download, import, export, quantize: every step that a source or a backend has a child process make, read back before it counts."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from pipeline import files
from pipeline.backends.openvino_npu import compiling_bytes
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

    with _room(step, session) if step.kind == "compile" else nullcontext():
        make(step, session, fill)


def _room(step: Step, session: Session) -> AbstractContextManager[None]:
    """Compiling takes more memory than the model has: two platforms are compiled side by side where there is room for both."""
    takes = compiling_bytes(files.size_bytes(session.store.files(step.need("model"))))
    return session.room.hold(takes, lambda: session.tell(step, Progress("waiting until there is memory for another compiler")))
