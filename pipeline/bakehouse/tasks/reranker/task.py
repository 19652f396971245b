"""The task of models that read a query and a text together and say how well they fit: cross-encoders, and Qwen3-Reranker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.formats.checkpoint import Survey
from bakehouse.formats.gguf_header import Metadata
from bakehouse.recipe.model import Model
from bakehouse.recipe.resolved import ResolvedBuild
from bakehouse.records import Validation
from bakehouse.steps.maker import Verification
from bakehouse.steps.step import Step
from bakehouse.tasks import base, two_runs
from bakehouse.tasks.base import References, Trial
from bakehouse.tasks.reranker import reference, writers
from bakehouse.tasks.reranker.golden import Ranked, mine
from bakehouse.tasks.reranker.scoring import judge as judge_one
from bakehouse.tasks.reranker.seams import SCORES, Question, ReferenceSpec, RerankRequest
from bakehouse.tasks.seams import RunResult

_DEFAULT_LABELS = 2  # of a config.json that names none (transformers' PreTrainedConfig)


def _questions(golden: Sequence[Ranked]) -> tuple[Question, ...]:
    return tuple(Question(query=one.query, texts=one.texts, instruction=one.instruction) for one in golden)


def references(label: str, checkpoint: Step, golden: base.Golden, texts: Step | None, remote_code: bool) -> References:
    """The source's scores; there is neither a numeric check nor a measure of fidelity beyond them."""
    spec = ReferenceSpec(questions=_questions(mine(golden.inputs)), remote_code=remote_code)
    return References(answers=reference.RUN.step(label, checkpoint, spec))


def request(golden: Sequence[Model], model: Path, files: Path, brought: Mapping[str, Path]) -> RerankRequest:
    """Score every text into scores.json."""
    return RerankRequest(model=model, questions=_questions(mine(golden)), scores=files / SCORES)


def judge(trial: Trial) -> tuple[Validation, Verification]:
    """Every query with its verdict, in the model's own precision and as users have it."""
    found, source, weights = reference.read(trial.files), reference.read(trial.reference).scores, trial.options.quantization.weights
    golden, written = mine(trial.golden), reference.read(trial.reference).writes
    judged = partial(judge_one, writes=written)
    own, used = (two_runs.verdicts(judged, golden, source, scores, weights) for scores in (found.scores, found.in_use))
    return two_runs.judged(trial, trial.report.read(RunResult), own, used)


def unfit(survey: Survey) -> tuple[str, ...]:
    """A checkpoint whose weights are quantized already, or that gives several numbers or none."""
    return (*two_runs.unfit(survey), *(() if writers.writes(survey.config) else _labels(survey)))


def _labels(survey: Survey) -> tuple[str, ...]:
    if writers.headed(survey.config):
        return ("it is a Qwen3 with a head for scores, which is not made: take Qwen3-Reranker itself, which writes yes or no",)
    named = survey.config.get("id2label")
    labels = len(named) if isinstance(named, Mapping) else _DEFAULT_LABELS
    if labels == 1:
        return ()
    return (f"by its config.json it gives {labels} numbers (id2label), and a reranker gives one: take a model that is made for it",)


def misfits(build: ResolvedBuild, survey: Survey) -> tuple[str, ...]:
    """An instruction for a model that takes none."""
    if writers.writes(survey.config) or not any(one.instruction for one in mine(build.golden)):
        return ()
    return ("a golden input has an instruction, and the model takes a query and a text alone: leave `instruction` out",)


def misfits_of_files(build: ResolvedBuild, folder: Path, survey: Survey, own_code: bool) -> tuple[str, ...]:
    """Nor from the other files."""
    return ()


def misfits_of_gguf(build: ResolvedBuild, metadata: Metadata) -> tuple[str, ...]:
    """No reader makes a checkpoint of such a file."""
    return ("a reranker is not made of a GGUF file: take its safetensors checkpoint",)


def request_of(words: Sequence[str], model: Path, files: Path) -> RerankRequest:
    """Score the texts of a command line, whose first is the query, as users have it."""
    if len(words) < 2 or not all(words):
        raise Failure("a reranker compares texts with a query", remedy="give it the query and one text or more, each in quotes")
    question = Question(query=words[0], texts=tuple(words[1:]))
    return RerankRequest(model=model, questions=(question,), scores=files / SCORES, only_in_use=True)


def lines_of(words: Sequence[str], files: Path) -> tuple[str, ...]:
    """The score of each text for the query, the best first."""
    (scores,) = reference.read(files).in_use
    found = sorted(zip(scores, words[1:], strict=True), key=lambda pair: -pair[0])
    return tuple(f"{score:.4f}  {text}" for score, text in found)
