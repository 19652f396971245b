"""Validation of a model that its users run otherwise than in its own precision: what fails the build, and what to do then."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.backends.openvino.workers.generate import REMEDY
from bakehouse.errors import Failure
from bakehouse.executor.making import Made, make
from bakehouse.executor.session import Session
from bakehouse.package.release_policy import shortcomings
from bakehouse.records import Drafted, InUse, Verdict
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.store.store import Store
from bakehouse.tasks.base import Trial
from bakehouse.tasks.text_generation.golden import Golden
from bakehouse.tasks.text_generation.seams import DraftedAnswers, GenerateResult, UsedAnswers
from bakehouse.tasks.text_generation.validation import of_trial, verification
from bakehouse.tasks.text_generation.workers.answers import AnswerRow
from tests.package.test_card import manifest, verdict
from tests.support.fakes import FakeSpec

pytestmark = pytest.mark.needs_backend("openvino")

GOOD = verdict()
LOOP = verdict(answer="Paris, Paris, Paris", passed=False, reasons=("the answer goes round in circles",))
STEP = Step(kind="validate", maker="openvino", label="tiny-int4", spec=FakeSpec())


def in_use(*verdicts: Verdict, **options: str) -> InUse:
    return InUse(runtime_options=options, precision="bf16", verdicts=verdicts)


def test_an_answer_that_is_right_in_both_runs_passes() -> None:
    assert verification((GOOD,), in_use(GOOD), REMEDY).faults == ()


def test_an_answer_that_users_do_not_get_fails_the_build_and_the_remedy_names_runtime_options(tmp_path: Path) -> None:
    def fill(staging: object) -> Made:
        return Made(verification((GOOD,), in_use(LOOP), REMEDY))

    with pytest.raises(Failure) as caught:
        make(STEP, Session(Store(tmp_path)), fill)
    assert caught.value.details[0] == snapshot(
        "'What is the capital of France?' was answered 'Paris, Paris, Paris' with the runtime's defaults (computed in bf16), "
        "as the card's program runs it: the answer goes round in circles"
    )
    assert caught.value.remedy.startswith("Give the build `runtime_options: {EXECUTION_MODE_HINT: ACCURACY}`")


def test_the_options_of_the_failed_run_are_named() -> None:
    (fault,) = verification((GOOD,), in_use(LOOP, KV_CACHE_PRECISION="u4"), REMEDY).faults
    assert "with KV_CACHE_PRECISION=u4 (computed in bf16)" in fault


def test_a_model_that_is_wrong_in_its_own_precision_is_not_fixed_by_options() -> None:
    found = verification((LOOP,), in_use(LOOP), REMEDY)
    assert (len(found.faults), found.remedy) == (1, "")


def answer(folder: Path, name: str, tokens: tuple[int, ...]) -> None:
    """A worker's file with one answer."""
    row = AnswerRow(index=0, prompt_ids=(7,), prompt_tokens=1, tokens=tokens, text=f"{tokens}", ended=True, first_token_s=1, tokens_per_s=1)
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(asdict(row)) + "\n", encoding="utf-8")


@pytest.mark.parametrize("same", [True, False])
def test_an_answer_that_is_another_with_the_draft_fails_the_build(tmp_path: Path, same: bool) -> None:
    for folder, name in ((tmp_path, "answers.jsonl"), (tmp_path, "answers-in-use.jsonl"), (tmp_path / "reference", "answers.jsonl")):
        answer(folder, name, (1, 2))
    answer(tmp_path, "answers-drafted.jsonl", (1, 2) if same else (1, 3))
    report = GenerateResult(
        device="CPU",
        device_name="any",
        load_s=1,
        in_use=UsedAnswers(runtime_options={}, remedy=REMEDY),
        drafted=DraftedAnswers(proposed=4, accepted=1, seconds=2, seconds_without=1),
    )
    trial = Trial(
        golden=(Golden(prompt="What?", contains=("1",)).normal(),),
        options=OpenVINO.model_validate({"runtime": "openvino", "quantization": {"weights": "int8"}, "draft": "small"}),
        files=tmp_path,
        report=Report(report.model_dump(mode="json")),
        peak_memory_bytes=1,
        reference=tmp_path / "reference",
        of_reference={},
        measured=(),
    )
    validation, verified = of_trial(trial)
    assert validation.drafted == Drafted(name="small", proposed=4, accepted=1, tokens=2, seconds=2, seconds_without=1)
    assert verified.faults == (() if same else ("'What?' is answered '(1, 3)' with the draft, and '(1, 2)' without it",))


def test_a_package_whose_users_get_another_answer_does_not_leave_the_machine() -> None:
    changed = manifest().validation.model_copy(update={"in_use": in_use(LOOP)})
    assert shortcomings(manifest(validation=changed)) == snapshot(["'What is the capital of France?' was not answered as expected"])
