"""Makes what every build is compared with: the scores of the unquantized checkpoint in transformers, in float32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.tasks.reranker.seams import SCORES, ReferenceRequest, ReferenceSpec, Scores
from bakehouse.tasks.source_run import SourceRun


def _request(step: Step, inputs: Mapping[str, Path], files: Path) -> ReferenceRequest:
    spec = step.spec_as(ReferenceSpec)
    return ReferenceRequest(checkpoint=inputs["checkpoint"], questions=spec.questions, scores=files / SCORES, remote_code=spec.remote_code)


def _verify(step: Step, files: Path, report: Report) -> Verification:
    """Compare the scores with the questions: one for each text."""
    if not (files / SCORES).is_file():
        return Verification(faults=(f"{SCORES} was not made",))
    found = [len(scores) for scores in read(files).scores]
    wanted = [len(question.texts) for question in step.spec_as(ReferenceSpec).questions]
    return Verification({"scores": sum(found)}, () if found == wanted else (f"the reference has {found} scores of {wanted} texts",))


def read(files: Path) -> Scores:
    """The scores that a worker wrote."""
    return Scores.model_validate_json((files / SCORES).read_bytes())


RUN = SourceRun("reranker", "tasks.reranker.workers.transformers_rerank", _request, _verify)
