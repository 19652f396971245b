"""Makes what every build is compared with: the vectors of the unquantized checkpoint in transformers, in float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bakehouse.formats.checkpoint import Survey
from bakehouse.steps.cost import Estimate, installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.tasks.embeddings.seams import VECTORS, ReferenceRequest, ReferenceResult, ReferenceSpec, Vectors

MAKER = "embeddings"
_TOOLS = ("tokenizers", "torch", "transformers")
_BASE_BYTES = 800_000_000


def step(label: str, checkpoint: Step, texts: Sequence[str], remote_code: bool) -> Step:
    """The step whose `files/vectors.json` has a vector of each text."""
    spec = ReferenceSpec(texts=tuple(texts), remote_code=remote_code)
    needs = (("checkpoint", checkpoint),)
    return Step(kind="reference", maker=MAKER, label=label, spec=spec, needs=needs, tools=installed(*_TOOLS))


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that writes vectors.json into `files`."""
    spec = step.spec_as(ReferenceSpec)
    request = ReferenceRequest(checkpoint=inputs["checkpoint"], texts=spec.texts, vectors=files / VECTORS, remote_code=spec.remote_code)
    return worker("tasks.embeddings.workers.transformers_embed", request=request)


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
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


def estimate(step: Step, survey: Survey) -> Estimate:
    """The weights in float32."""
    return Estimate(0, 4 * survey.parameters + _BASE_BYTES)
