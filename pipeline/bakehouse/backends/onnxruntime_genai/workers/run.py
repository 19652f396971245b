"""Keeps a package's model loaded in onnxruntime_genai and answers jobs: on the provider that it is made for, or on the CPU."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bakehouse.backends.onnxruntime_genai import genai_config
from bakehouse.backends.onnxruntime_genai.genai_config import GenaiConfig
from bakehouse.backends.onnxruntime_genai.seams import RunRequest
from bakehouse.backends.onnxruntime_genai.workers import generate, plugins
from bakehouse.backends.onnxruntime_genai.workers import tokenizer as ort_tokenizer
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.workers import answers, jobs

_LIBRARY = re.compile(r"(?i)\.(dll|dylib|so(\.[\d.]+)?)$")


@dataclass(frozen=True)
class Opened:
    """A loaded model folder; `template` is its chat template."""

    model: Any
    tokenizer: Any
    config: GenaiConfig
    template: str | None


def answer(opened: Opened, job: jobs.Job, take: jobs.Take) -> jobs.Counted:
    """Answer one job."""
    import onnxruntime_genai as og

    ids = _ids(opened, job)
    most = jobs.room(opened.config.model.context_length, len(ids), job.max_new_tokens)
    params = og.GeneratorParams(opened.model)
    params.set_search_options(
        num_beams=1, batch_size=1, max_length=generate.room(opened.config, len(ids) + most), **_search(job, len(ids) + most)
    )
    stream, tokens, times = opened.tokenizer.create_stream(), 0, [time.perf_counter()]
    ends, ended, goes_on = {int(token) for token in opened.tokenizer.eos_token_ids}, False, True
    generator = og.Generator(opened.model, params)
    generator.append_tokens(ids)
    while goes_on and tokens < most and not generator.is_done():
        generator.generate_next_token()
        token = int(generator.get_next_tokens()[0])
        times.append(time.perf_counter())
        tokens, ended = tokens + 1, token in ends
        goes_on = take("" if ended else str(stream.decode(token)))
    rest = times[-1] - times[1]
    return jobs.Counted(
        prompt_tokens=len(ids),
        tokens=tokens,
        first_token_s=times[1] - times[0],
        tokens_per_s=(tokens - 1) / rest if tokens > 1 and rest else None,
        ended=ended,
    )


def _search(job: jobs.Job, total: int) -> dict[str, object]:
    """The search options that a job decides; a filler's answer has all its tokens."""
    sampled = {"temperature": job.temperature, "top_p": job.top_p, "random_seed": job.seed} if job.temperature > 0 else {}
    return {"do_sample": job.temperature > 0, **sampled, **({"min_length": total} if job.filler_tokens else {})}


def _ids(opened: Opened, job: jobs.Job) -> list[int]:
    if job.filler_tokens:
        opened.tokenizer.update_options(add_special_tokens="false")
        return job.filler([int(token) for token in opened.tokenizer.encode(jobs.FILLER)])
    try:
        return generate.encode(opened.tokenizer, opened.template, job.prompt())
    except RuntimeError as error:  # the only type that it raises
        raise jobs.declined_by_template(error) from error


def on_cpu(config: GenaiConfig, request: RunRequest) -> tuple[bool, str]:
    """Whether to take the CPU provider, and a sentence on why if the folder is made for another one."""
    if config.provider == "cpu":
        if request.device not in (None, "CPU"):
            events.refuse("This model is made for the CPU.", f"Leave out --device, or take a build for the {request.device}.")
        return True, ""
    if request.device == "CPU":
        return True, f"The model is made for {request.made_for} and runs on the CPU here, as --device says."
    reason = generate.lacks(config.provider, request.model)
    if reason and request.device:
        events.refuse(f"This runtime does not have {request.made_for} on this machine.", "Add --device CPU to run it on the CPU.", [reason])
    return reason is not None, f"The model is made for {request.made_for}, which is not here; it runs on the CPU." if reason else ""


def refuse_code(folder: Path) -> None:
    """End here if the folder would have the runtime load a library of its own: that is code of whoever made the package.

    onnxruntime-genai 0.18 loads `custom_ops_library` from the model's folder, and a provider's options can name libraries, too. Every
    occurrence of a key counts: parsers differ in which one they take.
    """
    texts: list[str] = []

    def keep(pairs: list[tuple[str, object]]) -> None:
        for name, value in pairs:
            texts.extend((name, *(one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))))

    json.loads((folder / genai_config.NAME).read_text(encoding="utf-8"), object_pairs_hook=keep)
    if any(text.lower() == "custom_ops_library" or _LIBRARY.search(text) for text in texts):
        events.refuse(
            f"The package's {genai_config.NAME} names a library, which is code.",
            "Bakehouse makes no such package and does not run its code. Ask whoever made it.",
        )


def opened(request: RunRequest) -> tuple[Opened, jobs.Loaded]:
    """The loaded model, and what it runs on."""
    refuse_code(request.model)
    import onnxruntime_genai as og

    config = genai_config.read(request.model)
    cpu, note = on_cpu(config, request)
    started = time.monotonic()
    model = generate.load(request.model, cpu and config.provider != "cpu")
    tokenizer = og.Tokenizer(model)
    is_cpu = model.device_type == "CPU"
    loaded = jobs.Loaded(
        device="CPU" if is_cpu else request.made_for,
        device_name=answers.processor() if is_cpu else plugins.described(model.device_type),
        load_s=time.monotonic() - started,
        context=config.model.context_length,
        note=note,
    )
    return Opened(model, tokenizer, config, ort_tokenizer.template(request.model)), loaded


def run(request: RunRequest) -> None:
    """Load the model and answer jobs."""
    events.progress("loading the model")
    model, loaded = opened(request)
    jobs.serve(loaded, partial(answer, model))


if __name__ == "__main__":
    start.run(run, RunRequest)
