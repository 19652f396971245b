"""References to measure fidelity against, made once for each checkpoint by the real worker; and a step measured as the stages do."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from bakehouse.records import Fidelity
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation import reference as references
from tests.support import standin, worker
from tests.support.fakes import FakeSpec


def reference_step(checkpoint: Path) -> Step:
    """The step of a checkpoint's distributions on the shipped text."""
    download = Step(kind="download", maker="huggingface", label="model", spec=FakeSpec(name=checkpoint.name))
    return references.fidelity_step("model", download, None)


def reference(checkpoint: Path) -> Path:
    """The files of that step, from a folder outside the tree if they were made before."""
    step = reference_step(checkpoint)
    return standin.made_once(f"fidelity-{step.key[:16]}", lambda files: _run(step, references, {"checkpoint": checkpoint}, files))


def measured(step: Step, backend: ModuleType, files: Path, **inputs: Path) -> Fidelity:
    """What a backend measures of a model; fidelity.json is then in `files`."""
    files.mkdir(parents=True)
    _run(step, backend, inputs, files)
    return Fidelity.model_validate_json((files / "fidelity.json").read_bytes())


def _run(step: Step, maker: ModuleType, inputs: dict[str, Path], files: Path) -> None:
    done = worker.run(maker.command(step, inputs, files))
    assert done.code == 0, done.text
    assert maker.verify(step, inputs, files, done.report).faults == ()
