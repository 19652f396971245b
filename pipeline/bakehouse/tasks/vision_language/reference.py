"""Makes what every build is compared with: what the unquantized checkpoint answers, in transformers, in float32, greedily."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.tasks.source_run import SourceRun
from bakehouse.tasks.vision_language.pictures import asked
from bakehouse.tasks.vision_language.seams import ANSWERS, Answers, ReferenceRequest, ReferenceSpec


def _request(step: Step, inputs: Mapping[str, Path], files: Path) -> ReferenceRequest:
    spec = step.spec_as(ReferenceSpec)
    questions = asked(spec.questions, inputs)
    return ReferenceRequest(checkpoint=inputs["checkpoint"], questions=questions, answers=files / ANSWERS, remote_code=spec.remote_code)


def _verify(step: Step, files: Path, report: Report) -> Verification:
    """Compare the answers with the prompts: one that says something to each."""
    if not (files / ANSWERS).is_file():
        return Verification(faults=(f"{ANSWERS} was not made",))
    found, wanted = read(files).answers, len(step.spec_as(ReferenceSpec).questions)
    faults = [f"the reference has {len(found)} answers to {wanted} prompts"] if len(found) != wanted else []
    faults += [f"the unquantized model answers nothing to golden input {number}" for number, one in enumerate(found, 1) if not one.tokens]
    return Verification({"prompts": len(found)}, tuple(faults))


def read(files: Path) -> Answers:
    """What a worker wrote."""
    return Answers.model_validate_json((files / ANSWERS).read_bytes())


# Pillow makes of a picture the points that the model gets.
RUN = SourceRun("vision-language", "tasks.vision_language.workers.transformers_look", _request, _verify, ("pillow",))
