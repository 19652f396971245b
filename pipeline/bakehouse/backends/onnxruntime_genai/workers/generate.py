"""Answers prompts greedily with a model folder in onnxruntime_genai, as a user of the package would.

On the provider that the folder is made for where this machine has it, else on the CPU provider, and then reports that.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bakehouse.backends.onnxruntime_genai import genai_config
from bakehouse.backends.onnxruntime_genai.genai_config import GenaiConfig
from bakehouse.backends.onnxruntime_genai.seams import GenerateRequest
from bakehouse.backends.onnxruntime_genai.workers import plugins
from bakehouse.backends.onnxruntime_genai.workers import stub as ort_stub
from bakehouse.backends.onnxruntime_genai.workers import tokenizer as ort_tokenizer
from bakehouse.child import events, start, temporary
from bakehouse.tasks.text_generation.seams import GenerateResult
from bakehouse.tasks.text_generation.workers import answers, chats


def lacks(name: str, folder: Path) -> str | None:
    """Why this runtime on this machine does not have the provider; None if it has.

    It is tried with a model of two operations: if that loads, then the real model has to run, too. The only place that knows of
    providers; on Windows onnxruntime-genai-directml or -winml is what brings `dml`.
    """
    import onnxruntime_genai as og

    if name == "cpu":
        return None
    plugins.register(name)
    with temporary.folder() as stub:
        ort_stub.write(folder, Path(stub))
        config = og.Config(stub)
        config.append_provider(name)
        try:
            model = og.Model(config)
        except RuntimeError as error:  # the only type that it raises
            return str(error).strip().splitlines()[0]
        return f"the runtime took the CPU in place of {name}, and said nothing" if model.device_type == "CPU" else None


def load(folder: Path, on_cpu: bool) -> Any:
    """The model, on the provider of its genai_config.json or on the CPU."""
    import onnxruntime_genai as og

    config = og.Config(str(folder))
    if on_cpu:
        config.clear_providers()
    try:
        return og.Model(config)
    except RuntimeError as error:
        if not on_cpu:
            raise
        events.refuse(
            "The model does not run on the CPU provider, and this machine does not have the one that it is made for.",
            "Make this build on a machine that has it, or take another precision.",
            str(error).strip().splitlines(),
        )


def encode(tokenizer: Any, template: str | None, prompt: answers.Prompt) -> list[int]:
    """The prompt's ids: messages through the folder's chat template, raw text with the tokenizer's own special tokens."""
    if prompt.messages is not None:
        text = ort_tokenizer.rendering(tokenizer)(prompt.messages, chats.still(template or ""))
        tokenizer.update_options(add_special_tokens="false")
    else:
        text = prompt.raw or ""
        tokenizer.update_options(add_special_tokens="true")
    return [int(token) for token in tokenizer.encode(text)]


def refuse_too_long(context: int, tokenizer: Any, template: str | None, prompts: Sequence[answers.Prompt]) -> None:
    """End here if a prompt and the answer that it may have are more than the model's context of so many tokens."""
    counts = [(len(encode(tokenizer, template, prompt)), prompt.max_new_tokens) for prompt in prompts]
    too_long = [
        f"prompt {number}: {tokens} tokens, and {new} of its answer (max_new_tokens)"
        for number, (tokens, new) in enumerate(counts, start=1)
        if tokens + new > context
    ]
    if too_long:
        events.refuse(
            f"The model's context has {context} tokens, and not all golden prompts fit in with their answers.",
            "Give these prompts a smaller max_new_tokens, or shorten them.",
            too_long,
        )


def room(config: GenaiConfig, tokens: int) -> int:
    """The `max_length` for a prompt with its answer of so many tokens together.

    A cache that slides must have room for its window (onnxruntime-genai 0.18: "KV cache capacity must be at least local_window_size").
    """
    return max(tokens, min(config.window, config.model.context_length))


def answer(model: Any, tokenizer: Any, folder: Path, config: GenaiConfig, index: int, prompt: answers.Prompt) -> answers.AnswerRow:
    """One greedy answer; ends at the end tokens of the folder's genai_config.json, `config`."""
    import onnxruntime_genai as og

    ids = encode(tokenizer, ort_tokenizer.template(folder), prompt)
    params = og.GeneratorParams(model)
    most = prompt.max_new_tokens
    params.set_search_options(do_sample=False, num_beams=1, batch_size=1, max_length=room(config, len(ids) + most))
    tokens: list[int] = []
    times = [time.perf_counter()]  # time.monotonic() stands still for 16 ms on Windows
    generator = og.Generator(model, params)
    generator.append_tokens(ids)
    while len(tokens) < most and not generator.is_done():
        generator.generate_next_token()
        tokens.append(int(generator.get_next_tokens()[0]))
        times.append(time.perf_counter())
    ended = tokens[-1] in {int(token) for token in tokenizer.eos_token_ids}
    rest = times[-1] - times[1]
    return answers.AnswerRow(
        index=index,
        prompt_ids=tuple(ids),
        prompt_tokens=len(ids),
        tokens=tuple(tokens),
        text=ort_tokenizer.decoded(tokenizer, tokens),
        ended=ended,
        first_token_s=times[1] - times[0],
        tokens_per_s=(len(tokens) - 1) / rest if len(tokens) > 1 and rest else None,
    )


def run(request: GenerateRequest) -> GenerateResult:
    """Write the answers; what the model ran on."""
    events.progress("loading the model")
    import onnxruntime_genai as og

    config = genai_config.read(request.model)
    reason = lacks(config.provider, request.model)
    started = time.monotonic()
    model = load(request.model, reason is not None)
    load_s = time.monotonic() - started
    tokenizer = og.Tokenizer(model)
    refuse_too_long(config.model.context_length, tokenizer, ort_tokenizer.template(request.model), request.prompts)
    answers.write(request.answers, request.prompts, partial(answer, model, tokenizer, request.model, config))
    on_cpu = model.device_type == "CPU"
    return GenerateResult(
        device="CPU" if on_cpu else request.device,
        device_name=answers.processor() if on_cpu else plugins.described(model.device_type),
        load_s=load_s,
        stand_in=reason is not None,
        why_not_there=reason,
    )


if __name__ == "__main__":
    start.run(run, GenerateRequest)
