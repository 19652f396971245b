"""Carries out tasks of lm-eval with a package's model in onnxruntime_genai, on the provider that it is made for, or on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bakehouse.backends.onnxruntime_genai.seams import EvaluateRequest, RunRequest
from bakehouse.backends.onnxruntime_genai.workers import run as answering
from bakehouse.backends.onnxruntime_genai.workers.fidelity import Positions
from bakehouse.backends.onnxruntime_genai.workers.logits import Runner
from bakehouse.backends.onnxruntime_genai.workers.run import Opened
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.seams import EvaluateResult
from bakehouse.tasks.text_generation.workers import evaluation_tasks, jobs
from bakehouse.tasks.text_generation.workers.fidelity_figures import Window


class Model:
    """A loaded model folder."""

    def __init__(self, opened: Opened, runner: Runner) -> None:
        self._opened, self._positions = opened, Positions(runner.evaluate)
        self.context = opened.config.model.context_length

    @property
    def start(self) -> tuple[int, str]:
        tokenizer = self._opened.tokenizer
        token = int(tokenizer.bos_token_id)
        return token, str(tokenizer.decode([token]))

    def ids(self, text: str, *, special: bool) -> list[int]:
        self._opened.tokenizer.update_options(add_special_tokens="true" if special else "false")
        return [int(token) for token in self._opened.tokenizer.encode(text)]

    def rows(self, ids: Sequence[int], last: int) -> Sequence[Any]:
        after = 0  # a window ends with a token after which nothing is scored
        return list(self._positions.logits(Window("", (*ids, after), len(ids) - last)))

    def answer(self, job: jobs.Job, take: jobs.Take) -> jobs.Counted:
        return answering.answer(self._opened, job, take)


def run(request: EvaluateRequest) -> EvaluateResult:
    """Load the model and carry out the tasks."""
    evaluation_tasks.begin()
    events.progress("loading the model")
    opened, loaded = answering.opened(RunRequest(model=request.model, made_for=request.made_for, device=request.device))
    return evaluation_tasks.carried_out(request, Model(opened, Runner(request.model, model=opened.model)), loaded)


if __name__ == "__main__":
    start.run(run, EvaluateRequest)
