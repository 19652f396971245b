"""Makes what every build is compared with: the greedy tokens of the unquantized checkpoint in transformers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from bakehouse.formats.checkpoint import Survey
from bakehouse.recipe.source import adapter_role
from bakehouse.records import Written
from bakehouse.steps.cost import Estimate, installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation import answer_file, fidelity, reference_logits
from bakehouse.tasks.text_generation.answer_file import NAME as ANSWERS
from bakehouse.tasks.text_generation.seams import ReferenceRequest, ReferenceResult, ReferenceSpec
from bakehouse.tasks.text_generation.workers.answers import Prompt

_TOOLS = ("tokenizers", "torch", "transformers")
# Below so many weights the reference is computed in float32, the nearest to the truth; above, that takes too much memory.
FLOAT32_BELOW = 1_000_000_000
_PRECISIONS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


class ReferenceMeasured(Written):
    """Measured of the reference: the precision that it was computed in, "float32"."""

    reference_precision: str | None = None


def step(
    label: str, checkpoint: Step, prompts: Sequence[Prompt], remote_code: bool = False, adapters: Sequence[tuple[Step, float]] = ()
) -> Step:
    """The step whose `files/answers.jsonl` has an answer for each of `prompts`, with `adapters` applied, each with its scale."""
    scales = tuple(scale for _, scale in adapters)
    return Step(
        kind="reference",
        maker="reference",
        label=label,
        spec=ReferenceSpec(prompts=tuple(prompts), float32_below=FLOAT32_BELOW, remote_code=remote_code, scales=scales),
        needs=(("checkpoint", checkpoint), *((adapter_role(number), one) for number, (one, _) in enumerate(adapters, 1))),
        tools=installed(*_TOOLS, *(("peft",) if adapters else ())),
        # 2: with the second best of each token, of a model whose weights are exactly the checkpoint's, by the tokenizer of
        # tokenizer.json, chats on a day that stands still
        format=2,
    )


def logits_step(label: str, checkpoint: Step, remote_code: bool = False) -> Step:
    """The step that computes the logits which every converter's are compared with; one for each checkpoint."""
    return reference_logits.step(label, checkpoint, remote_code)


def fidelity_step(label: str, checkpoint: Step, texts: Step | None, remote_code: bool = False) -> Step:
    """The step that computes the distributions which every model's are compared with; one for each checkpoint and text."""
    return fidelity.reference_step(label, checkpoint, texts, FLOAT32_BELOW, remote_code)


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that writes answers.jsonl into `files`, or that of logits or distributions."""
    if step.kind == fidelity.REFERENCE_KIND:
        return fidelity.reference_command(step, inputs, files)
    if step.kind == reference_logits.KIND:
        return reference_logits.command(step, inputs, files)
    spec = step.spec_as(ReferenceSpec)
    request = ReferenceRequest(
        checkpoint=inputs["checkpoint"],
        prompts=spec.prompts,
        answers=files / ANSWERS,
        float32_below=spec.float32_below,
        remote_code=spec.remote_code,
        adapters=tuple(inputs[adapter_role(number)] for number, _ in enumerate(spec.scales, 1)),
        scales=spec.scales,
    )
    return worker("tasks.text_generation.workers.transformers_generate", request=request)


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare the answers with the prompts: one for each, none empty."""
    if step.kind == reference_logits.KIND:
        return reference_logits.verify(files, report)
    if step.kind == fidelity.REFERENCE_KIND:
        return fidelity.reference_verify(files, report)
    if not (files / ANSWERS).is_file():
        return Verification(faults=(f"{ANSWERS} was not made",))
    rows = answer_file.read(files / ANSWERS)
    prompts = len(step.spec_as(ReferenceSpec).prompts)
    faults = [f"the reference has {len(rows)} answers to {prompts} prompts"] if [row.index for row in rows] != list(range(prompts)) else []
    faults += [f"the unquantized model answers prompt {row.index + 1} with nothing" for row in rows if not row.tokens]
    measured = ReferenceMeasured(reference_precision=report.read(ReferenceResult).dtype)
    return Verification(measured.model_dump(mode="json"), tuple(faults))


def precision(survey: Survey) -> str:
    """What the reference will be computed in, by the weights of the checkpoint: "float32"; "" if that is not known."""
    if survey.parameters < FLOAT32_BELOW:
        return "float32"
    kinds = {tensor.dtype for tensor in survey.tensors if len(tensor.shape) > 1}
    return _PRECISIONS.get(next(iter(kinds)), "") if len(kinds) == 1 else ""


def estimate(step: Step, survey: Survey) -> Estimate:
    """The weights once in the precision that it runs in, and while they are read once more."""
    if step.kind == reference_logits.KIND:
        return reference_logits.estimate(survey)
    disk = fidelity.reference_disk_bytes() if step.kind == fidelity.REFERENCE_KIND else 0
    native = sum(math.prod(tensor.shape) * (4 if tensor.dtype == "F32" else 2) for tensor in survey.tensors)
    wide = 4 * survey.parameters if survey.parameters < FLOAT32_BELOW else 0
    return Estimate(disk, native + wide + 800_000_000)
