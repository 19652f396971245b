"""Code that a model's repository brings runs only if whoever starts the build says so: a recipe, which may be a stranger's, cannot."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from bakehouse.errors import Failure
from bakehouse.steps.step import Step

VARIABLE = "PIPELINE_REMOTE_CODE"
RUNS = "run"


def refuse_code(steps: Iterable[Step], environ: Mapping[str, str] = os.environ) -> None:
    """Refuse steps that would run Python files of the model's repository, unless the environment allows it.

    Raises:
        Failure: PIPELINE_REMOTE_CODE is not `run`, and some of the steps would run such code; their names are in it.
    """
    if environ.get(VARIABLE) == RUNS:
        return
    if running := list(dict.fromkeys(step.label for step in steps if getattr(step.spec, "remote_code", None) is True)):
        raise Failure(
            f"{', '.join(running)} would run Python files of the model's own repository on this machine",
            remedy=f"read them at the pinned commit (they are in source.remote_code); if you trust them, set {VARIABLE}={RUNS}",
        )
