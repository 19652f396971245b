"""Fidelity for tests: a checkpoint's distributions, made once per machine, and what a backend's own command measures against them."""

from __future__ import annotations

from pathlib import Path

from bakehouse.records import Fidelity
from bakehouse.steps.maker import Command
from bakehouse.steps.seam import Spec
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation import fidelity, reference
from bakehouse.tasks.text_generation.workers.fidelity_files import FIDELITY
from tests.support import standin, worker

CHECKPOINT = Step(kind="download", maker="huggingface", label="model", spec=Spec())
REFERENCE = reference.fidelity_step("model", CHECKPOINT, None)


def reference_of(checkpoint: Path) -> Path:
    """The files of a checkpoint's reference on the shipped text."""

    def make(files: Path) -> None:
        done = worker.run(fidelity.reference_command(REFERENCE, {"checkpoint": checkpoint}, files))
        assert done.code == 0, done.text

    return standin.made_once(f"fidelity-{checkpoint.name}-{REFERENCE.key[:16]}", make)


def measured(command: Command, files: Path) -> Fidelity:
    """What a command of a fidelity step leaves in `files`."""
    done = worker.run(command)
    assert done.code == 0, done.text
    assert fidelity.verify(files).faults == ()
    return Fidelity.model_validate_json((files / FIDELITY).read_bytes())
