"""What travels between who asks for a step and the worker that makes it. No path of a machine and no secret is among it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from bakehouse.errors import Failure
from bakehouse.recipe.recipe import Recipe
from bakehouse.steps.seam import Request


class LocalContent(BaseModel):
    """A local file that the recipe names: the field that does, the file's last name, and its fingerprint."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    field: tuple[str | int, ...]
    name: str
    fingerprint: str


class StepRequest(Request):
    """A step, as the recipe that a worker plans again, to find the same key with its own tools or to refuse.

    Attributes:
        key, kind, label: of the step.
        recipe: of its build alone, every default spelled out.
        tools: name -> version of all that the step's key is made of, by who asks.
        bakehouse: the version that planned it.
        shared_store: the URL of the shared store without a password; the worker's own must be the same.
    """

    key: str
    kind: str
    label: str
    recipe: Recipe
    contents: tuple[LocalContent, ...] = ()
    tools: dict[str, str]
    bakehouse: str
    shared_store: str


class FailedStep(BaseModel):
    """A failure on a worker, as it is reported to who requested it, with the end of the step's log."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    what: str
    where: str
    remedy: str
    details: tuple[str, ...]
    worker: str
    log: str = ""


class StepFailed(Exception):
    """A step that failed in a sentence; its one argument is a FailedStep as JSON, so that it can travel."""

    @classmethod
    def of(cls, failure: Failure, worker: str, log: str) -> StepFailed:
        """The failure of a step on a worker."""
        reported = FailedStep(
            what=failure.what, where=failure.where, remedy=failure.remedy, details=failure.details, worker=worker, log=log
        )
        return cls(reported.model_dump_json())

    @property
    def reported(self) -> FailedStep:
        """What the worker says."""
        return FailedStep.model_validate_json(self.args[0])
