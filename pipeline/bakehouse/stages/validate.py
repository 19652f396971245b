"""Run the artifact in its real runtime on the golden inputs, and have its task judge what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import JsonValue

from bakehouse.backends.base import Backend
from bakehouse.executor.making import Made, make, run_child
from bakehouse.executor.session import Session
from bakehouse.plan.plan import DRAFT_ROLES, WITHOUT_ADAPTERS
from bakehouse.plan.seams import ValidateSpec
from bakehouse.recipe.kinds import DEFAULT_TASK, BuildOptions
from bakehouse.steps.step import Step
from bakehouse.store import files
from bakehouse.store.store import Staging, Store
from bakehouse.tasks.base import Trial
from bakehouse.tasks.table import TASKS

RESULT = "validation.json"


def run(step: Step, backend: Backend, session: Session) -> None:
    """Run the model of `step` on the golden inputs and record every verdict.

    Raises:
        Failure: an answer is not what the recipe expects, and not of a device that only stands in for another; inputs, answers and verdicts
            are then under `failed/`.
    """
    spec = step.spec_as(ValidateSpec)
    task, store = TASKS[spec.task], session.store

    def fill(staging: Staging) -> Made:
        folder = staging.folder / "model"
        files.remove(folder)
        parts = link_model(step, spec.options, backend, store, folder)
        request = task.request(spec.golden, folder, staging.files, parts)
        finished, ran = run_child(backend.generate(spec.options, parts, request), step, session, staging)
        trial = Trial(
            golden=spec.golden,
            options=spec.options,
            files=staging.files,
            report=finished.report,
            peak_memory_bytes=finished.peak_memory_bytes,
            reference=store.files(step.need("reference")),
            of_reference=_measured(step.need("reference"), store),
            measured=[_measured(needed, store) for role, needed in step.needs if not role.startswith(DRAFT_ROLES)],
            without_adapters=parts.get(WITHOUT_ADAPTERS),
        )
        validation, verification = task.judge(trial)
        files.write(staging.files / RESULT, validation.model_dump_json(indent=2) + "\n")
        files.remove(folder)
        if validation.stand_in and spec.task == DEFAULT_TASK:  # what answers there is judged with the fidelity, when the package is made
            verification = replace(verification, faults=())
        return Made(verification, (ran,), finished.report)

    make(step, session, fill)


def _measured(step: Step, store: Store) -> Mapping[str, JsonValue]:
    record = store.record(step)
    return record.measured if record else {}


def link_model(step: Step, build: BuildOptions, backend: Backend, store: Store, folder: Path) -> Mapping[str, Path]:
    """Lay out the model folder of a step that needs all parts of a model, as hard links; the files of the parts by role."""
    parts: Mapping[str, Path] = {role: store.files(needed) for role, needed in step.needs}
    for name, path in backend.layout(build, parts).items():
        files.link(path, folder / name)
    return parts
