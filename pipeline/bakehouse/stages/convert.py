"""Download, import, export, quantize: every step that a source or a backend has a child process make, read back before it counts."""

from __future__ import annotations

from bakehouse.executor.making import Made, make, run_child
from bakehouse.executor.session import Session
from bakehouse.stages import same_bytes
from bakehouse.steps.maker import Maker
from bakehouse.steps.step import Step
from bakehouse.store.store import Staging
from bakehouse.toolchains import setup as toolchains

_AS_THEY_CAME = ("survey", "setup", "download", "calibration", "recording", "picture")  # their files are others', byte for byte


def run(step: Step, maker: Maker, session: Session) -> None:
    """Make `step` by its maker's command and compare the result with what was requested.

    Raises:
        Failure: the child failed, or what it made is not what was requested.
    """
    inputs = {role: session.store.files(needed) for role, needed in step.needs}
    toolchain = inputs.pop(toolchains.ROLE, None)

    def fill(staging: Staging) -> Made:
        command = maker.command(step, inputs, staging.files)
        finished, ran = run_child(toolchains.within(toolchain, command) if toolchain else command, step, session, staging)
        if step.kind not in _AS_THEY_CAME:
            same_bytes.restore(staging.files, inputs.values())
        return Made(maker.verify(step, inputs, staging.files, finished.report), (ran,), finished.report)

    make(step, session, fill)
