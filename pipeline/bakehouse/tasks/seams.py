"""What crosses between the pipeline and the workers of every task but text generation."""

from __future__ import annotations

from pathlib import Path

from bakehouse.steps.seam import Request, Result, Spec


class SourceSpec(Spec):
    """Of what a checkpoint itself answers: whether Python files of it may run; a task adds its inputs."""

    remote_code: bool


class SourceRequest(Request):
    """The unquantized checkpoint; a task adds its inputs and the file for what comes of them."""

    checkpoint: Path
    remote_code: bool


class RunRequest(Request):
    """A model in the folder `model`; a task adds its inputs and the file for what comes of them, and a backend what its runtime needs.

    Attributes:
        only_in_use: run it as the card's program does, and not in the model's own precision besides.
        device: as the runtime calls it; None for the one that the model is made for.
    """

    model: Path
    only_in_use: bool = False
    device: str | None = None


class RunResult(Result):
    """What a model was run on, as in a GenerateResult; `in_use` are the runtime's options of the second run, as users have it.

    `in_use` is None for a runtime that computes in the model's own precision by itself: there is only one run. `stand_in`: whether the
    device only stands in for the one that the model is made for.
    """

    device: str
    device_name: str
    load_s: float
    runtime_options: dict[str, str]
    in_use: dict[str, str] | None = None
    precision: str = ""
    stand_in: bool = False
