"""What a step needs that not every machine of a cluster has: its own tags, and those of what is set up on the machine that makes it."""

from __future__ import annotations

from bakehouse.backends.table import BACKENDS
from bakehouse.steps.cost import Tag
from bakehouse.steps.step import Step

_FETCHES = ("survey", "download", "calibration", "setup")


def of(step: Step) -> tuple[Tag, ...]:
    """The tags of a step, sorted. What is set up is bound to a machine, so that each that needs it sets it up itself."""
    found = {*_own(step), *(tag for needed in step.reads if needed.kind == "setup" for tag in _own(needed))}
    return tuple(sorted(found))


def here(*, network: bool) -> tuple[Tag, ...]:
    """The tags that this machine has; `network` is whether the internet was reached."""
    own = {tag for backend in BACKENDS.values() for tag in backend.tags_here()}
    return tuple(sorted({*own, *(("network",) if network else ())}))


def _own(step: Step) -> tuple[Tag, ...]:
    network: tuple[Tag, ...] = ("network",) if step.kind in _FETCHES and step.notes.path is None else ()
    backend = BACKENDS.get(step.maker)
    return (*network, *(backend.tags(step) if backend else ()))
