"""The step that computes the unquantized checkpoint's logits in transformers, at the lengths that the numeric check compares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from bakehouse.formats import fields
from bakehouse.formats.checkpoint import Survey
from bakehouse.steps.cost import Estimate, installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation.seams import LogitsRequest, LogitsResult, LogitsSpec
from bakehouse.tasks.text_generation.workers import layer_prefix, positions_to_check
from bakehouse.tasks.text_generation.workers.logits_compare import CHECK, LOGITS

KIND = "reference_logits"
FORMAT = 2  # raised when this code comes to compare other inputs or layers, or to make other bytes
_TOOLS = ("numpy", "tokenizers", "torch", "transformers")
_BASE_BYTES = 900_000_000


def step(label: str, checkpoint: Step, remote_code: bool = False) -> Step:
    """The step whose `files` name the inputs (check.json) and hold their logits (logits.npz); one for each checkpoint."""
    spec = LogitsSpec(
        remote_code=remote_code,
        budget=positions_to_check.BUDGET,
        first_factor=positions_to_check.FIRST_FACTOR,
        whole_below=positions_to_check.WHOLE_BELOW,
    )
    return Step(
        kind="reference_logits",
        maker="reference",
        label=label,
        spec=spec,
        needs=(("checkpoint", checkpoint),),
        tools=installed(*_TOOLS),
        format=FORMAT,
    )


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that computes them."""
    request = LogitsRequest(checkpoint=inputs["checkpoint"], files=files, remote_code=step.spec_as(LogitsSpec).remote_code)
    return worker("tasks.text_generation.workers.transformers_logits", request=request)


def verify(files: Path, report: Report) -> Verification:
    """Whether both files were made."""
    if absent := tuple(f"{name} was not made" for name in (CHECK, LOGITS) if not (files / name).is_file()):
        return Verification(faults=absent)
    return Verification(report.read(LogitsResult).model_dump(mode="json"))


def estimate(survey: Survey) -> Estimate:
    """The logits on disk; in memory the layers that are compared, in float32, and what they were read from."""
    vocabulary = fields.integer(survey.config, "vocab_size") or 0
    return Estimate(150 * 4 * vocabulary, 6 * compared_weights(survey) + _BASE_BYTES)


def compared_weights(survey: Survey) -> int:
    """How many weights are in memory at once while logits are compared."""
    shapes = {tensor.name: tensor.shape for tensor in survey.tensors}
    try:
        wanted = positions_to_check.check(survey.config, shapes)
    except (KeyError, TypeError, ValueError):  # a configuration that transformers has to complete
        return survey.parameters
    most = max(wanted.layers, wanted.deeper_layers)
    return sum(math.prod(shape) for name, shape in shapes.items() if (layer_prefix.layer_of(name) or 0) < most)
