"""The task of models that answer prompts about a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.formats import picture
from bakehouse.formats.checkpoint import Survey
from bakehouse.formats.gguf_header import Metadata
from bakehouse.recipe.model import Model
from bakehouse.recipe.resolved import ResolvedBuild
from bakehouse.records import Validation
from bakehouse.steps.maker import Verification
from bakehouse.steps.step import Step
from bakehouse.tasks import base, two_runs
from bakehouse.tasks.base import References, Trial
from bakehouse.tasks.seams import RunResult
from bakehouse.tasks.vision_language import reference
from bakehouse.tasks.vision_language.golden import Look, mine
from bakehouse.tasks.vision_language.pictures import asked
from bakehouse.tasks.vision_language.scoring import judge as judge_one
from bakehouse.tasks.vision_language.seams import ANSWERS, Asked, LookRequest, Question, ReferenceSpec

_PROCESSORS = ("preprocessor_config.json", "processor_config.json")  # one of which says how a picture becomes numbers
_TEMPLATES = ("chat_template.jinja", "chat_template.json")
_MOST_NEW_TOKENS = 512  # of an answer to a command line


def _questions(golden: Sequence[Model]) -> tuple[Question, ...]:
    return tuple(_question(one) for one in mine(golden))


def _question(one: Look) -> Question:
    return Question(prompt=one.prompt, max_new_tokens=one.max_new_tokens)


def references(label: str, checkpoint: Step, golden: base.Golden, texts: Step | None, remote_code: bool) -> References:
    """What the source answers; there is neither a numeric check nor a measure of fidelity beyond that."""
    spec = ReferenceSpec(questions=_questions(golden.inputs), remote_code=remote_code)
    return References(answers=reference.RUN.step(label, checkpoint, spec, golden.files.items()))


def request(golden: Sequence[Model], model: Path, files: Path, brought: Mapping[str, Path]) -> LookRequest:
    """Answer every prompt into answers.json."""
    return LookRequest(model=model, questions=asked(_questions(golden), brought), answers=files / ANSWERS)


def judge(trial: Trial) -> tuple[Validation, Verification]:
    """Every prompt with its verdict, in the model's own precision and as users have it."""
    found, source, weights = reference.read(trial.files), reference.read(trial.reference).answers, trial.options.quantization.weights
    rows = (mine(trial.golden), source)
    own = two_runs.verdicts(judge_one, *rows, found.answers, weights)
    used = two_runs.verdicts(partial(judge_one, in_use=True), *rows, found.in_use, weights)
    return two_runs.judged(trial, trial.report.read(RunResult), own, used)


def unfit(survey: Survey) -> tuple[str, ...]:
    """A checkpoint whose weights are quantized already."""
    return two_runs.unfit(survey)


def misfits(build: ResolvedBuild, survey: Survey) -> tuple[str, ...]:
    """Nothing more is known from the headers."""
    return ()


def misfits_of_files(build: ResolvedBuild, folder: Path, survey: Survey, own_code: bool) -> tuple[str, ...]:
    """Whether the files say how a picture becomes numbers, and how a prompt with a picture is written."""
    absent = [names[0] for names in (_PROCESSORS, _TEMPLATES) if not any((folder / name).is_file() for name in names)]
    return (f"it has no {' and no '.join(absent)}: take a complete checkpoint",) if absent else ()


def misfits_of_gguf(build: ResolvedBuild, metadata: Metadata) -> tuple[str, ...]:
    """No reader makes a checkpoint of such a file."""
    return ("a vision-language model is not made of a GGUF file: take its safetensors checkpoint",)


def request_of(words: Sequence[str], model: Path, files: Path) -> LookRequest:
    """Answer the prompt of a command line about the picture that it names, as users have it."""
    if len(words) != 2:
        raise Failure(
            "a vision-language model answers a prompt about a picture", remedy="give it a PNG or JPEG file and one prompt in quotes"
        )
    path = Path(words[0]).expanduser().absolute()
    try:
        picture.size(path)
    except picture.NotAPicture as reason:
        raise Failure(f"the picture cannot be used: {reason}", where=str(path), remedy=picture.HOW_TO) from reason
    question = Asked(prompt=words[1], max_new_tokens=_MOST_NEW_TOKENS, picture=path)
    return LookRequest(model=model, questions=(question,), answers=files / ANSWERS, only_in_use=True)


def lines_of(words: Sequence[str], files: Path) -> tuple[str, ...]:
    """The answer."""
    return tuple(one.text.strip() for one in reference.read(files).in_use)
