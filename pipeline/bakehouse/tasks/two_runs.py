"""What every task but text generation makes of a model that was run twice: in its own precision, and as the card's program runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from bakehouse.formats import quantized
from bakehouse.formats.checkpoint import Survey
from bakehouse.records import InUse, Validation, Verdict
from bakehouse.steps.maker import Verification
from bakehouse.tasks.base import Trial
from bakehouse.tasks.seams import RunResult

_Golden = TypeVar("_Golden")
_Found = TypeVar("_Found")

_REMEDY = (
    "give the build `runtime_options: {EXECUTION_MODE_HINT: ACCURACY}`, which the card's program then has too; "
    "or choose a quantization that loses less"
)


def judged(
    trial: Trial, result: RunResult, own: tuple[Verdict, ...], used: tuple[Verdict, ...], **facts: Any
) -> tuple[Validation, Verification]:
    """The validation with the verdicts on both runs, and what they come to; `facts` are the task's own fields of a Validation."""
    validation = Validation(
        verdicts=own,
        in_use=None if result.in_use is None else InUse(runtime_options=result.in_use, precision=result.precision, verdicts=used),
        device=result.device,
        device_name=result.device_name,
        stand_in=result.stand_in,
        runtime_options=result.runtime_options,
        load_s=result.load_s,
        peak_memory_bytes=trial.peak_memory_bytes,
        **facts,
    )
    measured = {"prompts": len(own), "passed": sum(one.passed for one in own)}
    if faults := _faults(own, ""):
        return validation, Verification(measured, faults, remedy=trial.options.when_wrong())
    return validation, Verification(measured, _faults(used, ", as the card's program runs it"), remedy=_REMEDY)


def verdicts(
    judge_one: Callable[..., Verdict], golden: Sequence[_Golden], source: Sequence[_Found], found: Sequence[_Found], weights: str
) -> tuple[Verdict, ...]:
    """The verdict on what one run found for each golden input, given what the source found."""
    return tuple(judge_one(*three, weights) for three in zip(golden, found, source, strict=True))


def _faults(verdicts: Sequence[Verdict], how: str) -> tuple[str, ...]:
    return tuple(f"{one.prompt!r}{how}: {reason}" for one in verdicts for reason in one.reasons)


def unfit(survey: Survey) -> tuple[str, ...]:
    """Why no runtime could make a model of a checkpoint, whatever it does: its weights are quantized already."""
    if method := quantized.method(survey.config):
        return (f"the checkpoint is quantized already ({method}): take the unquantized model that it was made from as the source",)
    return ()
