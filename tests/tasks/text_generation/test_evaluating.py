"""Tasks of the real lm-eval over a made-up model: what is scored and answered, which files are taken, and what is refused."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakehouse.steps.maker import Command
from bakehouse.tasks.text_generation.seams import EvaluateRequest, EvaluateResult
from bakehouse.tasks.text_generation.workers import evaluating, evaluation_tasks, jobs
from tests.support import evaluating as made_up
from tests.support import worker

pytest.importorskip("lm_eval", reason="the extra `evaluate` is not installed")


def carried_out(*tasks: Path, few_shot: int | None = None, limit: int | None = None) -> worker.Said:
    request = EvaluateRequest(tasks=tasks, few_shot=few_shot, limit=limit)
    command = Command((sys.executable, "-m", "tests.support.evaluating"), request=request)
    return worker.run(command, {"PYTHONPATH": os.pathsep.join((str(worker.ROOT), str(worker.ROOT / "pipeline")))})


@pytest.mark.whole
def test_choices_answers_and_texts_have_the_figures_that_follow_from_the_model(tmp_path: Path) -> None:
    said = carried_out(*made_up.write(tmp_path))
    assert said.code == 0, said.text
    capitals, answers, prose = said.report.read(EvaluateResult).results
    assert {score.metric: score.value for score in capitals.scores} == {"acc": 0.75}  # it takes Rome for the capital of Germany
    assert (capitals.version, capitals.documents, capitals.few_shot) == ("3", 4, 0)
    assert [(score.metric, score.filter, score.value) for score in answers.scores] == [("exact_match", "plain", 0.75)]
    # Each character is the one that the model prefers; after "of " it knows four that go on. The start that the tokenizer adds is
    # scored too, as lm-eval's own models have it, and here it is no likely one.
    sure, others, size = math.exp(made_up.SURE), made_up.LETTERS, len(made_up.TEXT)
    one, four, begin = (-math.log2(likely / (count * sure + others - count)) for likely, count in ((sure, 1), (sure, 4), (1, 1)))
    assert prose.scores[0].value == pytest.approx((one * (size - 1) + four + begin) / size)
    assert {event["doing"] for event in said.progress} >= {"reading the tasks", "scoring texts", "answering"}


@pytest.mark.whole
def test_a_first_look_says_of_how_many_questions_it_is(tmp_path: Path) -> None:
    capitals, _, _ = made_up.write(tmp_path)
    said = carried_out(capitals, limit=2, few_shot=1)
    (result,) = said.report.read(EvaluateResult).results
    assert (result.documents, result.of_documents, result.few_shot) == (2, 4, 1)


def test_the_same_questions_have_the_same_sha256_wherever_they_lie(tmp_path: Path) -> None:
    one, two, three = (made_up.write(tmp_path / name)[1] for name in ("one", "two", "three"))
    with (tmp_path / "three" / "capitals.jsonl").open("a", encoding="utf-8") as data:
        data.write('{"country": "Italy", "answer": 1}\n')
    sha256 = [evaluation_tasks.read(path)[1] for path in (one, two, three)]
    assert sha256[0] == sha256[1] != sha256[2]
    (tmp_path / "two" / "capitals.yaml").write_text(made_up.CAPITALS.replace("version: 3", "version: 4"), encoding="utf-8")
    assert evaluation_tasks.read(two)[1] != sha256[1], "it includes that file"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("dataset_path: owner/questions", "names the data set owner/questions, which is not a local file."),
        ("dataset_kwargs: {data_files: gone.jsonl}", "The data file gone.jsonl of own.yaml does not exist."),
        ("dataset_kwargs: {data_files: 'https://localhost/x'}", "The data file https://localhost/x of own.yaml does not exist."),
        ("dataset_kwargs: {}", "names no data files."),
        ("task: [1]", "is not a single task of lm-eval: it has no `task` with a name."),
        ("task: [", "cannot be read as a task of lm-eval."),
    ],
)
def test_a_file_that_is_not_a_task_with_local_data_is_refused(
    change: str, what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made_up.write(tmp_path)
    (tmp_path / "own.yaml").write_text(f"include: capitals.yaml\n{change}\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        evaluation_tasks.read(tmp_path / "own.yaml")
    assert what in worker.heard(3, capfd.readouterr().out.splitlines()).refusal


@pytest.mark.whole
def test_a_task_that_lm_eval_cannot_make_is_refused_in_a_sentence(tmp_path: Path) -> None:
    made_up.write(tmp_path)
    (tmp_path / "own.yaml").write_text("include: capitals.yaml\ntest_split: none\n", encoding="utf-8")
    said = carried_out(tmp_path / "own.yaml")
    assert said.code == 3 and said.refusal.splitlines()[0] == "lm-eval cannot make the task capitals."
    assert "Traceback" not in said.refusal


def test_two_tasks_of_one_name_and_a_number_of_examples_that_lm_eval_ignores_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        evaluation_tasks.refuse_twice(["a", "b", "a"])
    assert "Two task files have the name a." in capfd.readouterr().out
    with pytest.raises(SystemExit):
        evaluation_tasks.refuse_idle({"task": "a", "num_fewshot": 0}, 2)
    assert "The task a is made for no examples (num_fewshot: 0)." in capfd.readouterr().out
    evaluation_tasks.refuse_idle({"task": "a", "num_fewshot": 5}, 2)


def test_a_likelihood_is_the_sum_over_its_tokens_and_greedy_only_if_all_are_the_most_likely() -> None:
    rows = [np.array([0.0, 1.0]), np.array([2.0, 0.0])]
    first, second = math.log(1 / (1 + math.e)), math.log(1 / (1 + math.e**2))
    assert evaluating.likelihood(rows, [0, 1]) == evaluating.Likelihood(pytest.approx(first + second), False)
    assert evaluating.likelihood(rows, [1, 0]).greedy


def test_what_is_longer_than_the_context_loses_its_beginning() -> None:
    seen: list[tuple[tuple[int, ...], int]] = []

    class Model(made_up.Model):
        context = 4

        def rows(self, ids: Sequence[int], last: int) -> Sequence[Any]:
            seen.append((tuple(ids), last))
            return [np.zeros(100)] * last

    scorer = evaluating.Scorer(Model())
    scorer.score([1, 2, 3, 4, 5], [6, 7])
    scorer.score([1, 2, 3, 4, 5], [6, 8])  # other tokens after the same ones: not computed again
    assert seen == [((3, 4, 5, 6), 2)]
    scorer.score([1], [2, 3, 4, 5, 6, 7])
    assert seen[1:] == [((3, 4, 5, 6), 4)]


def test_an_option_of_generation_that_would_be_ignored_is_declined() -> None:
    assert evaluating.job("Hi", {"until": "x", "max_gen_toks": 3, "do_sample": False, "temperature": 0.7}).temperature == 0
    with pytest.raises(jobs.Declined, match=r"^The task's generation_kwargs have num_beams, which is not supported here\.$"):
        evaluating.job("Hi", {"num_beams": 4})
