"""The task of models that turn texts into vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.formats import quantized
from bakehouse.formats.checkpoint import Survey
from bakehouse.formats.gguf_header import Metadata
from bakehouse.recipe.model import Model
from bakehouse.recipe.recipe import ResolvedBuild
from bakehouse.records import InUse, Pooling, Validation, Verdict
from bakehouse.steps.maker import Verification
from bakehouse.steps.step import Step
from bakehouse.tasks.base import References, Trial
from bakehouse.tasks.embeddings import golden as inputs
from bakehouse.tasks.embeddings import pooling, reference
from bakehouse.tasks.embeddings.scoring import Vector
from bakehouse.tasks.embeddings.scoring import judge as judge_one
from bakehouse.tasks.embeddings.seams import VECTORS, EmbedRequest, EmbedResult

_REMEDY = (
    "give the build `runtime_options: {EXECUTION_MODE_HINT: ACCURACY}`, which the card's program then has too; "
    "or choose a quantization that loses less"
)


def references(label: str, checkpoint: Step, golden: Sequence[Model], texts: Step | None, remote_code: bool) -> References:
    """The source's vectors; there is neither a numeric check nor a measure of fidelity beyond them."""
    return References(answers=reference.step(label, checkpoint, inputs.texts(inputs.mine(golden)), remote_code))


def request(golden: Sequence[Model], model: Path, files: Path) -> EmbedRequest:
    """Embed every text into vectors.json."""
    return EmbedRequest(model=model, texts=inputs.texts(inputs.mine(golden)), vectors=files / VECTORS)


def judge(trial: Trial) -> tuple[Validation, Verification]:
    """Every query with its verdict, in the model's own precision and as users have it."""
    golden, result = inputs.mine(trial.golden), trial.report.read(EmbedResult)
    if not (trial.files / VECTORS).exists():
        raise Failure("the worker ended with success but wrote no vectors", remedy="this is a fault of ours; please report it with the log")
    texts = inputs.texts(golden)
    found, source = reference.read(trial.files), reference.read(trial.reference)
    known = dict(zip(texts, source.vectors, strict=True))
    weights = trial.options.quantization.weights

    def verdicts(vectors: Sequence[Vector]) -> tuple[Verdict, ...]:
        given: Mapping[str, Vector] = dict(zip(texts, vectors, strict=True))
        return tuple(judge_one(one, given, known, weights) for one in golden)

    own, used = verdicts(found.vectors), verdicts(found.in_use)
    validation = Validation(
        verdicts=own,
        in_use=InUse(runtime_options=result.in_use, precision=result.precision, verdicts=used),
        device=result.device,
        device_name=result.device_name,
        runtime_options=result.runtime_options,
        load_s=result.load_s,
        peak_memory_bytes=trial.peak_memory_bytes,
        vector_size=len(found.vectors[0]),
        pooling=Pooling.model_validate(trial.of_reference["pooling"]),
    )
    measured = {"prompts": len(own), "passed": sum(one.passed for one in own)}
    if faults := _faults(own, ""):
        return validation, Verification(measured, faults)
    return validation, Verification(measured, _faults(used, ", as the card's program runs it"), remedy=_REMEDY)


def _faults(verdicts: Sequence[Verdict], how: str) -> tuple[str, ...]:
    return tuple(f"{one.prompt!r}{how}: {reason}" for one in verdicts for reason in one.reasons)


def unfit(survey: Survey) -> tuple[str, ...]:
    """A checkpoint whose weights are quantized already."""
    if method := quantized.method(survey.config):
        return (f"the checkpoint is quantized already ({method}): take the unquantized model that it was made from as the source",)
    return ()


def misfits(build: ResolvedBuild, survey: Survey) -> tuple[str, ...]:
    """Nothing more is known from the headers."""
    return ()


def misfits_of_files(build: ResolvedBuild, folder: Path, survey: Survey, own_code: bool) -> tuple[str, ...]:
    """Whether the files say how states become a vector."""
    try:
        pooling.read(folder)
    except pooling.Unpooled as reason:
        return (f"{reason}; take a model that is made for embeddings, as sentence-transformers has it, or leave `task` out",)
    return ()


def misfits_of_gguf(build: ResolvedBuild, metadata: Metadata) -> tuple[str, ...]:
    """A GGUF file says nothing that could be proven of its pooling."""
    return ("an embedding model is not made of a GGUF file: take its checkpoint as sentence-transformers has it",)
