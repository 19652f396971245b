"""Run the artifact in its real runtime on the golden prompts, and judge every answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from pydantic import JsonValue

from bakehouse.backends.base import Backend, in_use
from bakehouse.errors import Failure
from bakehouse.executor.making import Made, make, run_child
from bakehouse.executor.session import Session
from bakehouse.package.manifest import Validation
from bakehouse.plan.plan import prompts
from bakehouse.plan.seams import ValidateSpec
from bakehouse.recipe import agreement
from bakehouse.recipe.recipe import BuildOptions
from bakehouse.records import InUse, Verdict
from bakehouse.steps.maker import Verification
from bakehouse.steps.step import Step
from bakehouse.store import files
from bakehouse.store.store import Staging, Store
from bakehouse.tasks.text_generation import answer_file
from bakehouse.tasks.text_generation.answer_file import NAME as ANSWERS
from bakehouse.tasks.text_generation.golden import Golden
from bakehouse.tasks.text_generation.scoring import Answer, judge
from bakehouse.tasks.text_generation.seams import GenerateRequest, GenerateResult, UsedAnswers

RESULT = "validation.json"


def run(step: Step, backend: Backend, session: Session) -> None:
    """Generate from the golden prompts of `step` and record every verdict.

    Raises:
        Failure: an answer is not what the recipe expects; prompts, answers and verdicts are then under `failed/`.
    """
    spec = step.spec_as(ValidateSpec)
    golden, options = spec.golden, spec.options

    def fill(staging: Staging) -> Made:
        folder = staging.folder / "model"
        files.remove(folder)
        parts = link_model(step, options, backend, session.store, folder)
        request = GenerateRequest(model=folder, prompts=prompts(golden), answers=staging.files / ANSWERS)
        finished, ran = run_child(backend.generate(options, parts, request), step, session, staging)
        result = finished.report.read(GenerateResult)
        source = read_answers(session.store.files(step.need("reference")) / ANSWERS)
        weights = options.quantization.weights
        least = agreement.least(weights, options.min_agreement, options.min_agreement_reason)
        tie = agreement.tie(weights, _reference_precision(step, session.store))
        judge_of = partial(judge, turn_end=_turn_end_unnamed(step, session.store), kept_beyond=_kept_beyond(step, session.store))
        verdicts = _verdicts(golden, read_answers(staging.files / ANSWERS), source, partial(judge_of, min_agreement=least, tie=tie))
        used = _in_use(golden, staging.files / ANSWERS, source, result.in_use, partial(judge_of, min_agreement=0))
        files.write(
            staging.files / RESULT, _validation(verdicts, used, result, finished.peak_memory_bytes).model_dump_json(indent=2) + "\n"
        )
        files.remove(folder)
        remedy = result.in_use.remedy if result.in_use else ""
        return Made(verification(verdicts, used, remedy), (ran,), finished.report)

    make(step, session, fill)


def link_model(step: Step, build: BuildOptions, backend: Backend, store: Store, folder: Path) -> Mapping[str, Path]:
    """Lay out the model folder of a step that needs all parts of a model, as hard links; the files of the parts by role."""
    parts: Mapping[str, Path] = {role: store.files(needed) for role, needed in step.needs}
    for name, path in backend.layout(build, parts).items():
        files.link(path, folder / name)
    return parts


def _reference_precision(step: Step, store: Store) -> str | None:
    record = store.record(step.need("reference"))
    precision = record.measured.get("reference_precision") if record else None
    return precision if isinstance(precision, str) else None


def read_answers(path: Path) -> list[Answer]:
    """The answers that a generating worker wrote, in the order of the prompts."""
    if not path.exists():
        raise Failure("the worker ended with success but wrote no answers", remedy="this is a fault of ours; please report it with the log")
    return [
        Answer(row.tokens, row.text, row.ended, row.first_token_s, row.tokens_per_s, row.runners, row.prompt_ids)
        for row in sorted(answer_file.read(path), key=lambda row: row.index)
    ]


def _turn_end_unnamed(step: Step, store: Store) -> int | None:
    """The token that ends an answer by the chat template, if the model's end tokens leave it out; measured where the tokenizer was made."""
    records = (store.record(needed) for _, needed in step.needs)
    found = (record.measured.get("turn_end_unnamed") for record in records if record)
    return next((token for token in found if isinstance(token, int)), None)


def _kept_beyond(step: Step, store: Store) -> int | None:
    """The length beyond which the runtime goes on with keys that transformers computes anew; measured where the model was made."""
    records = (store.record(needed) for _, needed in step.needs)
    return agreement.kept_beyond(record.measured for record in records if record)


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
    verdicts = _verdicts(golden, read_answers(in_use(answers)), source, judge_of)
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
