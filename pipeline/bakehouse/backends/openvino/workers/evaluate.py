"""Carries out tasks of lm-eval with a package's model in OpenVINO, with the options of the card's program.

Likelihoods come from the model's own graph, of which only the logits that are scored are computed; answers from openvino_genai.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from bakehouse.backends.openvino.options import of_the_plugin
from bakehouse.backends.openvino.seams import EvaluateRequest
from bakehouse.backends.openvino.workers import pipelines
from bakehouse.backends.openvino.workers import run as answering
from bakehouse.backends.openvino.workers.logits import Runner
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.seams import EvaluateResult
from bakehouse.tasks.text_generation.workers import evaluation_tasks, jobs


class Model:
    """A model folder; the pipeline for answers is loaded with the first job."""

    def __init__(self, request: EvaluateRequest) -> None:
        import openvino_genai

        self._request = request
        self.context = answering.context(request.model)
        self._tokenizer = openvino_genai.Tokenizer(request.model)
        self._runner = Runner(request.model, device=request.device, options=of_the_plugin(request.runtime_options))

    @property
    def start(self) -> tuple[int, str]:
        begin, end = self._tokenizer.get_bos_token_id(), self._tokenizer.get_eos_token_id()
        return (begin, self._tokenizer.get_bos_token()) if begin >= 0 else (end, self._tokenizer.get_eos_token())

    def ids(self, text: str, *, special: bool) -> list[int]:
        return [int(token) for token in self._tokenizer.encode(text, add_special_tokens=special).input_ids.data[0]]

    def rows(self, ids: Sequence[int], last: int) -> Sequence[Any]:
        scored = range(len(ids) - last, len(ids))
        rows = self._runner.evaluate(list(ids), len(ids), scored)
        return [rows[at] for at in scored]

    @cached_property
    def _pipe(self) -> Any:
        return pipelines.load(self._request.model, self._request.device, self._request.runtime_options)

    def answer(self, job: jobs.Job, take: jobs.Take) -> jobs.Counted:
        loaded = jobs.Loaded(device=self._request.device, device_name="", load_s=0.0, context=self.context)
        return answering.answer(self._pipe, loaded, job, take)


def run(request: EvaluateRequest) -> EvaluateResult:
    """Load the model and carry out the tasks."""
    evaluation_tasks.begin()
    events.progress("loading the model")
    import openvino as ov

    core = ov.Core()
    answering.refuse_absent(core, request.device)
    started = time.monotonic()
    model = Model(request)
    name = str(core.get_property(request.device, "FULL_DEVICE_NAME")).strip()
    loaded = jobs.Loaded(device=request.device, device_name=name, load_s=time.monotonic() - started, context=model.context)
    return evaluation_tasks.carried_out(request, model, loaded)


if __name__ == "__main__":
    start.run(run, EvaluateRequest)
