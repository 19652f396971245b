"""Keeps a package's model loaded in openvino_genai and answers jobs, with the options of the card's program."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

from bakehouse.backends.openvino.seams import RunRequest
from bakehouse.backends.openvino.workers import pipelines
from bakehouse.backends.openvino.workers.generate import encode
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.workers import config_fields, jobs


def answer(pipe: Any, loaded: jobs.Loaded, job: jobs.Job, take: jobs.Take, *, drafted: bool = False) -> jobs.Counted:
    """Answer one job with the model that was loaded as `loaded` says; `drafted`: with a draft."""
    import openvino_genai

    inputs = filler(pipe.get_tokenizer(), job) if job.filler_tokens else _encoded(pipe.get_tokenizer(), job)
    size = len(inputs.input_ids.data[0])
    if loaded.longest_prompt is not None and size > loaded.longest_prompt:
        raise jobs.Declined(f"The prompt has {size} tokens, and the model's graphs take {loaded.longest_prompt}.")
    config = pipe.get_generation_config()
    config.max_new_tokens = jobs.room(loaded.context, size, job.max_new_tokens)
    config.do_sample = job.temperature > 0
    if config.do_sample:
        config.temperature, config.top_p, config.rng_seed = job.temperature, job.top_p, job.seed
    config.ignore_eos = bool(job.filler_tokens)
    status = openvino_genai.StreamingStatus
    made = pipe.generate(inputs, config, lambda text: status.RUNNING if take(text) else status.CANCEL)
    tokens, measured = len(made.tokens[0]), made.perf_metrics
    proposed, accepted = pipelines.counts(made) if drafted else (None, None)
    return jobs.Counted(
        prompt_tokens=size,
        tokens=tokens,
        first_token_s=measured.get_ttft().mean / 1000,
        tokens_per_s=measured.get_throughput().mean if tokens > 1 else None,
        ended=made.finish_reasons[0] == openvino_genai.GenerationFinishReason.STOP,
        proposed=proposed,
        accepted=accepted,
    )


def _encoded(tokenizer: Any, job: jobs.Job) -> Any:
    try:
        return encode(tokenizer, job.prompt())
    except RuntimeError as error:  # the only type that the template engine raises
        raise jobs.declined_by_template(error) from error


def filler(tokenizer: Any, job: jobs.Job) -> Any:
    """A prompt of a given length, as ids with their mask."""
    import numpy as np
    import openvino as ov
    import openvino_genai

    ids = job.filler([int(token) for token in tokenizer.encode(jobs.FILLER, add_special_tokens=False).input_ids.data[0]])
    values = np.array([ids], dtype=np.int64)
    return openvino_genai.TokenizedInputs(ov.Tensor(values), ov.Tensor(np.ones_like(values)))


def refuse_absent(core: Any, device: str) -> None:
    """End here if OpenVINO has no such device on this machine."""
    present = sorted({name.partition(".")[0] for name in core.available_devices})
    if device not in present:
        events.refuse(
            f"OpenVINO finds no {device} on this machine, only {' and '.join(present)}.",
            f"Add --device {present[0]}, or install the driver of the {device}.",
        )


def run(request: RunRequest) -> None:
    """Load the model and answer jobs."""
    events.progress("loading the model")
    import openvino as ov

    core = ov.Core()
    refuse_absent(core, request.device)
    started = time.monotonic()
    pipe = pipelines.load(request.model, request.device, request.runtime_options, request.draft, request.adapters)
    loaded = jobs.Loaded(
        device=request.device,
        device_name=str(core.get_property(request.device, "FULL_DEVICE_NAME")).strip(),
        load_s=time.monotonic() - started,
        context=context(request.model),
    )
    jobs.serve(loaded, partial(answer, pipe, loaded, drafted=request.draft is not None))


def context(folder: Path) -> int | None:
    """How many tokens the model's config.json says that it is made for."""
    return config_fields.context(json.loads((folder / "config.json").read_text(encoding="utf-8")))


if __name__ == "__main__":
    start.run(run, RunRequest)
