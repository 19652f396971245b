"""The task of models that turn texts into vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.formats.checkpoint import Survey
from bakehouse.formats.gguf_header import Metadata
from bakehouse.recipe.model import Model
from bakehouse.recipe.resolved import ResolvedBuild
from bakehouse.records import Pooling, Validation, Verdict
from bakehouse.steps.maker import Verification
from bakehouse.steps.step import Step
from bakehouse.tasks import base, two_runs
from bakehouse.tasks.base import References, Trial
from bakehouse.tasks.embeddings import golden as inputs
from bakehouse.tasks.embeddings import pooling, reference
from bakehouse.tasks.embeddings.scoring import Vector, cosine
from bakehouse.tasks.embeddings.scoring import judge as judge_one
from bakehouse.tasks.embeddings.seams import VECTORS, EmbedRequest, ReferenceSpec
from bakehouse.tasks.seams import RunResult


def references(label: str, checkpoint: Step, golden: base.Golden, texts: Step | None, remote_code: bool) -> References:
    """The source's vectors; there is neither a numeric check nor a measure of fidelity beyond them."""
    spec = ReferenceSpec(texts=inputs.texts(inputs.mine(golden.inputs)), remote_code=remote_code)
    return References(answers=reference.RUN.step(label, checkpoint, spec))


def request(golden: Sequence[Model], model: Path, files: Path, brought: Mapping[str, Path]) -> EmbedRequest:
    """Embed every text into vectors.json."""
    return EmbedRequest(model=model, texts=inputs.texts(inputs.mine(golden)), vectors=files / VECTORS)


def judge(trial: Trial) -> tuple[Validation, Verification]:
    """Every query with its verdict, in the model's own precision and as users have it."""
    golden, result = inputs.mine(trial.golden), trial.report.read(RunResult)
    texts = inputs.texts(golden)
    found, source = reference.read(trial.files), reference.read(trial.reference)
    known = dict(zip(texts, source.vectors, strict=True))
    weights = trial.options.quantization.weights

    def verdicts(vectors: Sequence[Vector]) -> tuple[Verdict, ...]:
        given: Mapping[str, Vector] = dict(zip(texts, vectors, strict=True))
        return tuple(judge_one(one, given, known, weights) for one in golden)

    how = Pooling.model_validate(trial.of_reference["pooling"])
    size = len(found.vectors[0])
    return two_runs.judged(trial, result, verdicts(found.vectors), verdicts(found.in_use), vector_size=size, pooling=how)


def unfit(survey: Survey) -> tuple[str, ...]:
    """A checkpoint whose weights are quantized already."""
    return two_runs.unfit(survey)


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


def request_of(words: Sequence[str], model: Path, files: Path) -> EmbedRequest:
    """Embed the texts of a command line, as users have it."""
    if len(words) < 2 or not all(words):
        raise Failure("an embedding model compares texts", remedy="give it two texts or more, each in quotes")
    texts = tuple(dict.fromkeys(words))
    return EmbedRequest(model=model, texts=texts, vectors=files / VECTORS, only_in_use=True)


def lines_of(words: Sequence[str], files: Path) -> tuple[str, ...]:
    """The cosine of each further text to the first one, the nearest first."""
    known = dict(zip(dict.fromkeys(words), reference.read(files).in_use, strict=True))
    found = [(cosine(known[words[0]], known[text]), text) for text in words[1:]]
    return tuple(f"{value:.4f}  {text}" for value, text in sorted(found, key=lambda pair: -pair[0]))
