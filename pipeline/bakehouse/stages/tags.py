"""What a step needs that not every machine of a cluster has: its own tags, and those of what is set up on the machine that makes it."""

from __future__ import annotations

from bakehouse.backends.table import BACKENDS
from bakehouse.steps.step import Step

NETWORK = "network"
_FETCHES = ("survey", "download", "calibration", "setup")


def of(step: Step) -> tuple[str, ...]:
    """The tags of a step, sorted. What is set up is bound to a machine, so that each that needs it sets it up itself."""
    found = {*_own(step), *(tag for needed in step.reads if needed.kind == "setup" for tag in _own(needed))}
    return tuple(sorted(found))


def here(*, network: bool) -> dict[str, bool]:
    """All tags, and whether this machine has them; `network` is whether the internet was reached."""
    return {NETWORK: network} | {tag: has for backend in BACKENDS.values() for tag, has in backend.tags_here().items()}


def _own(step: Step) -> tuple[str, ...]:
    network = (NETWORK,) if step.kind in _FETCHES and step.notes.path is None else ()
    backend = BACKENDS.get(step.maker)
    return (*network, *(backend.tags(step) if backend else ()))
