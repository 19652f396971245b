"""Makes what every build is compared with: the vectors of the unquantized checkpoint in transformers, in float32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.tasks.embeddings.seams import VECTORS, ReferenceRequest, ReferenceResult, ReferenceSpec, Vectors
from bakehouse.tasks.source_run import SourceRun


def _request(step: Step, inputs: Mapping[str, Path], files: Path) -> ReferenceRequest:
    spec = step.spec_as(ReferenceSpec)
    return ReferenceRequest(checkpoint=inputs["checkpoint"], texts=spec.texts, vectors=files / VECTORS, remote_code=spec.remote_code)


def _verify(step: Step, files: Path, report: Report) -> Verification:
    """Compare the vectors with the texts: one for each."""
    if not (files / VECTORS).is_file():
        return Verification(faults=(f"{VECTORS} was not made",))
    found, texts = read(files), step.spec_as(ReferenceSpec).texts
    result = report.read(ReferenceResult)
    wrong = [f"the reference has {len(found.vectors)} vectors of {len(texts)} texts"] if len(found.vectors) != len(texts) else []
    return Verification({"pooling": result.pooling.model_dump(mode="json"), "vector_size": result.size}, tuple(wrong))


def read(files: Path) -> Vectors:
    """The vectors that a worker wrote."""
    return Vectors.model_validate_json((files / VECTORS).read_bytes())


RUN = SourceRun("embeddings", "tasks.embeddings.workers.transformers_embed", _request, _verify)
