"""Which stage carries out a step, and which module describes how it is made."""

from __future__ import annotations

from pipeline.backends import BACKENDS, reference
from pipeline.maker import Maker
from pipeline.session import Session
from pipeline.sources import SOURCES, gguf
from pipeline.stages import consent, convert, package, repository, validate
from pipeline.step import Step


def run(step: Step, session: Session) -> None:
    """Make one step, whatever its kind; what it needs must be in the store.

    Raises:
        Failure: with what went wrong and what to do.
    """
    consent.refuse_code([step])
    match step.kind:
        case "validate":
            validate.run(step, BACKENDS[step.maker], session)
        case "package" if "repository" in step.options:
            repository.run(step, session)
        case "package":
            package.run(step, BACKENDS[step.maker], session)
        case _:
            convert.run(step, maker_of(step), session)


def maker_of(step: Step) -> Maker:
    """The module that describes how to make the step."""
    makers: dict[str, Maker] = {**SOURCES, **BACKENDS, "gguf": gguf, "reference": reference}
    return makers[step.maker]
