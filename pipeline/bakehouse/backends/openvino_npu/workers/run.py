"""Keeps a package's model loaded in openvino_genai's NPU pipeline and answers jobs: on the NPU, or with its graphs on the CPU."""

from __future__ import annotations

import time
from functools import partial
from typing import NoReturn

from bakehouse.backends.openvino.workers.run import answer
from bakehouse.backends.openvino_npu.seams import RunRequest
from bakehouse.backends.openvino_npu.workers.generate import choose
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.workers import jobs

_SHOWS = "The graphs of the NPU pipeline run on the CPU, as in validation: this shows answers, and not the NPU's speed or precision."


def run(request: RunRequest) -> None:
    """Load the model and answer jobs."""
    events.progress("loading the model, which compiles its graphs where no blob fits")
    import openvino as ov
    import openvino_genai

    core = ov.Core()
    if request.device == "NPU" and "NPU" not in core.available_devices:
        _refuse()
    chosen = choose(core, request.model, request.platforms, on_cpu=request.device == "CPU")
    settings = {**request.settings, **chosen.settings}
    numbers = {key: int(settings[key]) for key in ("MAX_PROMPT_LEN", "MIN_RESPONSE_LEN")}
    started = time.monotonic()
    pipe = openvino_genai.LLMPipeline(request.model, "NPU", **{**settings, **chosen.files, **numbers})
    loaded = jobs.Loaded(
        device=request.device,
        device_name=chosen.name,
        load_s=time.monotonic() - started,
        context=sum(numbers.values()),
        longest_prompt=numbers["MAX_PROMPT_LEN"],
        note=_SHOWS if chosen.stand_in else "",
    )
    jobs.serve(loaded, partial(answer, pipe, loaded))


def _refuse() -> NoReturn:
    events.refuse(
        "This model is made for an Intel NPU, and OpenVINO finds none on this machine.",
        "Add --device CPU to run its graphs on the CPU, as validation did, or run it on a machine with the NPU and its driver.",
    )


if __name__ == "__main__":
    start.run(run, RunRequest)
