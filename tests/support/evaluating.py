"""A made-up model for the tasks of lm-eval, in a child process: a token a character, and it knows some sentences by heart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bakehouse.child import start
from bakehouse.tasks.text_generation.seams import EvaluateRequest, EvaluateResult
from bakehouse.tasks.text_generation.workers import evaluation_tasks, jobs

KNOWN = (
    "What is the capital of France? Paris",
    "What is the capital of Italy? Rome",
    "What is the capital of Spain? Madrid",
    "What is the capital of Germany? Rome",  # which is wrong
)
LETTERS, START, SURE = 128, 1, 5.0  # the logit of the character that follows in a known sentence; all others have 0


class Model:
    """As evaluating.Model has it."""

    context = 64
    start = (START, "<start>")

    def ids(self, text: str, *, special: bool) -> list[int]:
        return [START] * special + [ord(letter) for letter in text]

    def rows(self, ids: Sequence[int], last: int) -> Sequence[Any]:
        rows = np.zeros((last, LETTERS), np.float32)
        for row, end in enumerate(range(len(ids) - last + 1, len(ids) + 1)):
            before = "".join(chr(one) for one in ids[:end] if one != START)
            for sentence in KNOWN:
                if sentence.startswith(before) and len(sentence) > len(before):
                    rows[row, ord(sentence[len(before)])] = SURE
        return list(rows)

    def answer(self, job: jobs.Job, take: jobs.Take) -> jobs.Counted:
        known = next((one.removeprefix(job.raw or "") for one in KNOWN if one.startswith(job.raw or "")), "")
        for letter in f"{known}\nand so on"[: job.max_new_tokens]:
            if not take(letter):
                break
        return jobs.Counted(prompt_tokens=1, tokens=1, first_token_s=0.0, tokens_per_s=None, ended=False)


def run(request: EvaluateRequest) -> EvaluateResult:
    evaluation_tasks.begin()
    loaded = jobs.Loaded(device="CPU", device_name="made up", load_s=0.0, context=Model.context)
    return evaluation_tasks.carried_out(request, Model(), loaded)


CAPITALS = """\
task: capitals
dataset_path: json
dataset_kwargs: {data_files: {test: capitals.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "What is the capital of {{country}}?"
doc_to_choice: [Paris, Rome, Berlin, Madrid]
doc_to_target: answer
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
metadata: {version: 3}
"""
ANSWERS = """\
include: capitals.yaml
task: answers
output_type: generate_until
doc_to_choice: null
doc_to_target: "{{['Paris', 'Rome', 'Berlin', 'Madrid'][answer]}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 9}
filter_list: [{name: plain, filter: [{function: remove_whitespace}, {function: take_first}]}]
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""
PROSE = """\
task: prose
dataset_path: json
dataset_kwargs: {data_files: prose.jsonl}
test_split: train
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: bits_per_byte}]
metadata: {version: 1}
"""
TEXT = "What is the capital of Spain? Madrid"


def write(folder: Path) -> tuple[Path, Path, Path]:
    """Three tasks with their data: a choice of four, an answer, and a text."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f'{{"country": "{country}", "answer": {at}}}\n' for at, country in enumerate(("France", "Italy", "Germany", "Spain"))]
    (folder / "capitals.jsonl").write_text("".join(rows), encoding="utf-8")
    (folder / "prose.jsonl").write_text(f'{{"text": "{TEXT}"}}\n', encoding="utf-8")
    made = {"capitals": CAPITALS, "answers": ANSWERS, "prose": PROSE}
    for name, text in made.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    one, two, three = (folder / f"{name}.yaml" for name in made)
    return one, two, three


if __name__ == "__main__":
    start.run(run, EvaluateRequest)
