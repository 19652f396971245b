"""Judges a model that was run on the golden prompts: every answer, in the model's own precision and as users get it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from pydantic import JsonValue

from bakehouse.errors import Failure
from bakehouse.recipe import agreement
from bakehouse.records import Adapted, Drafted, InUse, Validation, Verdict
from bakehouse.steps.maker import Verification
from bakehouse.tasks.base import Trial
from bakehouse.tasks.text_generation import answer_file
from bakehouse.tasks.text_generation.answer_file import NAME as ANSWERS
from bakehouse.tasks.text_generation.golden import Golden, mine
from bakehouse.tasks.text_generation.scoring import Answer, judge, question
from bakehouse.tasks.text_generation.seams import AdaptedAnswers, DraftedAnswers, GenerateResult, UsedAnswers

ADAPTER_REMEDY = "have the adapters merged into the weights: `adapters: merged`"
DRAFT_REMEDY = (
    "give the build `runtime_options: {EXECUTION_MODE_HINT: ACCURACY}`, with which several tokens at once are computed like one after the "
    "other; or leave the draft out"
)


def of_trial(trial: Trial) -> tuple[Validation, Verification]:
    """Every verdict, and the faults that they come to."""
    golden, options, result = mine(trial.golden), trial.options, trial.report.read(GenerateResult)
    answers, source = trial.files / ANSWERS, read_answers(trial.reference / ANSWERS)
    weights = options.quantization.weights
    least = agreement.least(weights, options.min_agreement, options.min_agreement_reason)
    tie = agreement.tie(weights, _reference_precision(trial))
    judge_of = partial(judge, turn_end=_turn_end_unnamed(trial), kept_beyond=agreement.kept_beyond(trial.measured))
    verdicts = _verdicts(golden, read_answers(answers), source, partial(judge_of, min_agreement=least, tie=tie))
    used = _in_use(golden, answers, source, result.in_use, partial(judge_of, min_agreement=0))
    remedy = result.in_use.remedy if result.in_use else ""
    validation = _validation(verdicts, used, result, trial.peak_memory_bytes)
    verified = verification(verdicts, used, remedy)
    if verified.faults:
        return validation, verified
    if result.adapted is not None:
        return _with_adapted(trial, validation, verified, result.adapted, partial(judge_of, min_agreement=least, tie=tie, expected=False))
    if result.drafted is None:
        return validation, verified
    validation = validation.model_copy(update={"drafted": _drafted(options.drafted_by() or "", result.drafted, answers)})
    return validation, replace(verified, faults=tuple(_differing(golden, answers)), remedy=DRAFT_REMEDY)


def _with_adapted(
    trial: Trial, validation: Validation, verified: Verification, found: AdaptedAnswers, judge_of: Callable[..., Verdict]
) -> tuple[Validation, Verification]:
    """What a model answers without its separate adapters, and in which layers these do nothing."""
    assert trial.without_adapters is not None
    given, source = (read_answers(path) for path in (answer_file.without_adapters(trial.files / ANSWERS), trial.without_adapters / ANSWERS))
    verdicts = _verdicts(mine(trial.golden), given, source, judge_of)
    faults = [f"the part of {name} has no effect in the runtime" for name in found.without_effect]
    faults += _faults(verdicts, " without the adapters")
    adapted = Adapted(layers=found.layers, without=verdicts)
    return validation.model_copy(update={"adapted": adapted}), replace(verified, faults=tuple(faults), remedy=ADAPTER_REMEDY)


def _drafted(name: str, found: DraftedAnswers, answers: Path) -> Drafted:
    tokens = sum(len(one.tokens) for one in read_answers(answer_file.drafted(answers)))
    return Drafted(name=name, tokens=tokens, **dict(found))


def _differing(golden: Sequence[Golden], answers: Path) -> Iterator[str]:
    """A sentence for every prompt that is answered otherwise with the draft than without it."""
    plain, drafted = (read_answers(path(answers)) for path in (answer_file.in_use, answer_file.drafted))
    for entry, one, other in zip(golden, plain, drafted, strict=True):
        if one.tokens != other.tokens:
            yield f"{question(entry)!r} is answered {other.text.strip()[:200]!r} with the draft, and {one.text.strip()[:200]!r} without it"


def _reference_precision(trial: Trial) -> str | None:
    precision = trial.of_reference.get("reference_precision")
    return precision if isinstance(precision, str) else None


def read_answers(path: Path) -> list[Answer]:
    """The answers that a generating worker wrote, in the order of the prompts."""
    if not path.exists():
        raise Failure("the worker ended with success but wrote no answers", remedy="this is a fault of ours; please report it with the log")
    return [
        Answer(row.tokens, row.text, row.ended, row.first_token_s, row.tokens_per_s, row.runners, row.prompt_ids)
        for row in sorted(answer_file.read(path), key=lambda row: row.index)
    ]


def _turn_end_unnamed(trial: Trial) -> int | None:
    """The token that ends an answer by the chat template, if the model's end tokens leave it out; measured where the tokenizer was made."""
    return next((token for one in trial.measured if isinstance(token := one.get("turn_end_unnamed"), int)), None)


def _verdicts(
    golden: Sequence[Golden], given: Sequence[Answer], source: Sequence[Answer], judge_of: Callable[..., Verdict]
) -> tuple[Verdict, ...]:
    return tuple(judge_of(entry, answer, known) for entry, answer, known in zip(golden, given, source, strict=True))


def _in_use(
    golden: Sequence[Golden], answers: Path, source: Sequence[Answer], used: UsedAnswers | None, judge_of: Callable[..., Verdict]
) -> InUse | None:
    """The verdicts on what users get, if the worker answered once more for that.

    How many tokens must be the source's is not judged again: it is about the weights, and by default the processor rounds besides.
    """
    if used is None:
        return None
    verdicts = _verdicts(golden, read_answers(answer_file.in_use(answers)), source, judge_of)
    return InUse(runtime_options=used.runtime_options, precision=used.precision, verdicts=verdicts)


def verification(verdicts: tuple[Verdict, ...], used: InUse | None, remedy: str) -> Verification:
    """What both runs come to; `remedy`, the worker's, is for a model that is right in its own precision and wrong for its users."""
    faults = tuple(_faults(verdicts))
    if faults or not used:
        return Verification(_measured(verdicts), faults)
    mode = ", ".join(f"{name}={value}" for name, value in used.runtime_options.items()) or "the runtime's defaults"
    how = f" with {mode}{f' (computed in {used.precision})' if used.precision else ''}, as the card's program runs it"
    return Verification(_measured(verdicts), tuple(_faults(used.verdicts, how)), remedy=remedy)


def _validation(verdicts: tuple[Verdict, ...], used: InUse | None, result: GenerateResult, peak_memory_bytes: int) -> Validation:
    return Validation(
        verdicts=verdicts,
        in_use=used,
        device=result.device,
        device_name=result.device_name,
        stand_in=result.stand_in,
        runtime_options=result.runtime_options,
        not_run=result.not_run,
        load_s=result.load_s,
        peak_memory_bytes=peak_memory_bytes,
    )


def _measured(verdicts: tuple[Verdict, ...]) -> dict[str, JsonValue]:
    return {"prompts": len(verdicts), "passed": sum(verdict.passed for verdict in verdicts)}


def _faults(verdicts: tuple[Verdict, ...], how: str = "") -> list[str]:
    """A sentence for every reason, with the prompt and the answer that it is about, and how that was given."""
    return [
        f"{verdict.prompt!r} was answered {verdict.answer.strip()[:200]!r}{how}: {reason}"
        for verdict in verdicts
        for reason in verdict.reasons
    ]
