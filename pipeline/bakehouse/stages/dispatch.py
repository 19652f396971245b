"""Which stage carries out a step, and which module describes how it is made."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from bakehouse.backends.table import BACKENDS
from bakehouse.executor.listen import Progress
from bakehouse.executor.session import Session
from bakehouse.formats.checkpoint import read_checkpoint
from bakehouse.plan.seams import BundleSpec
from bakehouse.sources import gguf
from bakehouse.sources.table import SOURCES
from bakehouse.stages import bundle as repository
from bakehouse.stages import convert, estimates, package, validate
from bakehouse.stages import remote_code as consent
from bakehouse.steps.maker import Maker
from bakehouse.steps.step import Step
from bakehouse.tasks.table import REFERENCES
from bakehouse.toolchains import setup as toolchains


def run(step: Step, session: Session) -> None:
    """Make one step, whatever its kind; what it needs must be in the store.

    Raises:
        Failure: with what went wrong and what to do.
    """
    consent.refuse_code([step])
    with room(step, session):
        match step.kind:
            case "validate":
                validate.run(step, BACKENDS[step.maker], session)
            case "package" if isinstance(step.spec, BundleSpec):
                repository.run(step, session)
            case "package":
                package.run(step, BACKENDS[step.maker], session)
            case _:
                convert.run(step, maker_of(step), session)


def room(step: Step, session: Session) -> AbstractContextManager[None]:
    """Memory reserved for a step: steps run side by side where both have room, mapped files aside, else one after the other."""
    takes = _own_bytes(step, session)
    waiting = Progress("waiting until it has memory next to what runs")
    return session.room.hold(takes, lambda: session.tell(step, waiting)) if takes else nullcontext()


def _own_bytes(step: Step, session: Session) -> int:
    """About what a step will hold in memory and cannot share; 0 if it is little, or cannot be known because its checkpoint is not here."""
    # in this order, so that of a build with a draft it is its own, which is the larger
    checkpoints = dict.fromkeys(needed for one in reversed((*step.closure(),)) for role, needed in one.needs if role == "checkpoint")
    here = next((session.store.files(one) for one in checkpoints if session.store.has(one)), None)
    if here is None:
        return 0
    return estimates.of(step, read_checkpoint(here)).own_bytes


def maker_of(step: Step) -> Maker:
    """The module that describes how to make the step."""
    makers: dict[str, Maker] = {**SOURCES, **BACKENDS, **REFERENCES, "gguf": gguf, toolchains.MAKER: toolchains}
    return makers[step.maker]
