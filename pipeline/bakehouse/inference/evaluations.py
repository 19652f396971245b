"""Has a package carry out tasks of lm-eval, and keeps what it reaches next to the packages."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from bakehouse.backends.base import Device
from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure
from bakehouse.executor import process, version
from bakehouse.executor.listen import Progress
from bakehouse.executor.process import Children
from bakehouse.inference.found import Found
from bakehouse.records import Written
from bakehouse.steps.cost import installed
from bakehouse.store import files
from bakehouse.tasks.text_generation.seams import EvaluateRequest, EvaluateResult, TaskResult

TOOLS = ("lm-eval", "datasets")


class Evaluated(Written):
    """What a package reached in one task, on which device, with which versions."""

    result: TaskResult
    device: str
    device_name: str
    note: str = ""
    tools: dict[str, str]
    bakehouse: str
    made_at: datetime


class Evaluation(Written):
    """What one package reached, as it is kept in `evaluations/NAME.json`. It is not part of the package, nor of any key."""

    schema_version: Literal[1] = 1
    name: str
    key: str
    runtime: str
    tasks: tuple[Evaluated, ...]


def measure(found: Found, device: Device | None, wanted: EvaluateRequest, on_progress: Callable[[Progress], None]) -> Evaluation:
    """Carry out the tasks in a child process.

    Raises:
        Failure: the package is not evaluated here, or a task cannot be carried out. NotInstalled: the runtime is missing.
    """
    options = found.manifest.build.options
    command = BACKENDS[options.runtime].evaluate(options, found.folder, device, wanted)
    folder, children, named = Path(tempfile.mkdtemp(prefix="bakehouse-")), Children(), False
    try:
        log, scratch = folder / "evaluate.log", folder / "work"
        done = process.run(command, children=children, log=log, scratch=scratch, on_progress=on_progress)
    except Failure as failure:
        named = any(str(folder) in detail for detail in failure.details)  # its log, which stays then
        raise
    finally:
        children.stop()
        if not named:
            shutil.rmtree(folder, ignore_errors=True)
    left = done.report.read(EvaluateResult)
    tools = {**BACKENDS[options.runtime].generate_tools(options), **installed(*TOOLS)}
    now, by = datetime.now(UTC), version.installed()
    tasks = tuple(
        Evaluated(result=one, device=left.device, device_name=left.device_name, note=left.note, tools=tools, bakehouse=by, made_at=now)
        for one in left.results
    )
    return Evaluation(name=found.name, key=found.manifest.key, runtime=options.runtime, tasks=tasks)


def keep(evaluation: Evaluation, artifacts: Path) -> Path:
    """Write the results next to the packages; its path. Results of the same package in other tasks stay."""
    path = artifacts / "evaluations" / f"{evaluation.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    new = {one.result.task for one in evaluation.tasks}
    before = [one for one in _kept(path, evaluation.key) if one.result.task not in new]
    merged = evaluation.model_copy(update={"tasks": (*before, *evaluation.tasks)})
    files.write(path, merged.model_dump_json(indent=2) + "\n")
    return path


def _kept(path: Path, key: str) -> tuple[Evaluated, ...]:
    """What is kept of the package with this key; nothing of another one of its name, or of a file that cannot be read."""
    try:
        known = Evaluation.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return ()
    return known.tasks if known.key == key else ()
