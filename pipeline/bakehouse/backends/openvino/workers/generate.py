"""Answers prompts greedily with a package's model folder in openvino_genai, twice.

First in the model's own precision (ACCURATE), which is the same on every processor. Then as the card's program does: with the recipe's
runtime_options, or with the runtime's defaults; of a model with a draft once more with that. By default the CPU plugin computes in
bfloat16 where the processor has instructions for it, rounds activations to 8 bits, and keeps keys and values in 8 bits, so one package
gives other answers on other processors.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bakehouse.backends.openvino.options import given
from bakehouse.backends.openvino.seams import AdaptedRequest, DraftedRequest, GenerateRequest
from bakehouse.backends.openvino.workers import adapters_seen, pipelines
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.seams import AdaptedAnswers, DraftedAnswers, GenerateResult, UsedAnswers
from bakehouse.tasks.text_generation.workers import answers, chats

Options = Mapping[str, str | int]  # of the runtime, in its own names
ACCURATE = {"EXECUTION_MODE_HINT": "ACCURACY"}
REMEDY = (
    "give the build `runtime_options: {EXECUTION_MODE_HINT: ACCURACY}`: the card's program then has it too, and computes in the model's "
    "own precision on every processor; or choose a quantization that loses less"
)


def encode(tokenizer: Any, prompt: answers.Prompt) -> Any:
    """The prompt's ids and mask: messages through the folder's chat template, raw text with the tokenizer's own special tokens."""
    if prompt.messages is not None:
        template = chats.still(tokenizer.chat_template)
        text = tokenizer.apply_chat_template(list(prompt.messages), add_generation_prompt=True, chat_template=template)
        return tokenizer.encode(text, add_special_tokens=False)
    return tokenizer.encode(prompt.raw, add_special_tokens=True)


def answer(
    pipe: Any, index: int, prompt: answers.Prompt, seen: Callable[[Any], None] | None = None, *, plain: bool = False
) -> answers.AnswerRow:
    """One greedy answer; ends at the end tokens of the folder's generation_config.json. `seen` gets what the runtime made.

    `plain`: without the adapters that the pipeline has.
    """
    import openvino_genai

    config = pipe.get_generation_config()
    config.do_sample = False
    config.max_new_tokens = prompt.max_new_tokens
    if plain:
        config.adapters = openvino_genai.AdapterConfig()
    tokenizer = pipe.get_tokenizer()
    inputs = encode(tokenizer, prompt)
    made = pipe.generate(inputs, config)
    if seen:
        seen(made)
    tokens = list(made.tokens[0])
    ids = inputs.input_ids.data[0].tolist()
    return answers.AnswerRow(
        index=index,
        prompt_ids=tuple(ids),
        prompt_tokens=len(ids),
        tokens=tuple(tokens),
        text=tokenizer.decode(tokens, skip_special_tokens=True),
        ended=made.finish_reasons[0] == openvino_genai.GenerationFinishReason.STOP,
        first_token_s=made.perf_metrics.get_ttft().mean / 1000,
        tokens_per_s=made.perf_metrics.get_throughput().mean if len(tokens) > 1 else None,
    )


@dataclass(frozen=True)
class Loaded:
    """How long it took to load the model, and the ids of the tokens that end its answers."""

    load_s: float
    end_tokens: tuple[int, ...]


def with_draft(request: GenerateRequest, draft: DraftedRequest, options: Options) -> DraftedAnswers:
    """Answer all prompts without the draft and with it, each with a pipeline that has answered before, so that the times compare."""
    counted: list[tuple[int, int]] = []
    _, without = timed(request, options, None)
    rows, seconds = timed(request, options, draft.model, lambda made: counted.append(pipelines.counts(made)))
    for row in rows:
        answers.add(draft.answers, row)
    proposed, accepted = (sum(column) for column in zip(*counted[1:], strict=True))  # the first is of the warm-up
    return DraftedAnswers(proposed=proposed, accepted=accepted, seconds=seconds, seconds_without=without)


def timed(
    request: GenerateRequest, options: Options, draft: Path | None, seen: Callable[[Any], None] | None = None
) -> tuple[list[answers.AnswerRow], float]:
    """The answers to all prompts after a warm-up with the first, and how many seconds they took."""
    events.progress("answering with the draft" if draft else "answering without the draft")
    pipe = pipelines.load(request.model, request.device, options, draft)
    answer(pipe, 0, request.prompts[0], seen)
    started = time.monotonic()
    rows = [answer(pipe, index, prompt, seen) for index, prompt in enumerate(request.prompts)]
    return rows, time.monotonic() - started


def answer_all(
    folder: Path, device: str, options: Options, prompts: Sequence[answers.Prompt], path: Path, adapters: Sequence[Path] = (),
    *, plain: bool = False,
) -> Loaded:  # fmt: skip
    """Load the model with these options and adapters, and answer all prompts into the file `path`; `plain` without the adapters.

    The pipeline is gone from memory when this returns.
    """
    events.progress("loading the model")
    started = time.monotonic()
    pipe = pipelines.load(folder, device, options, adapters=adapters)
    load_s = time.monotonic() - started
    answers.write(path, prompts, partial(answer, pipe, plain=plain))
    config = pipe.get_generation_config()
    return Loaded(load_s, tuple(sorted({*config.stop_token_ids, config.eos_token_id})))


def without_adapters(request: GenerateRequest, adapted: AdaptedRequest) -> AdaptedAnswers:
    """Answer all prompts without the adapters, with a pipeline that has them; and see in which layers each of them acts."""
    answer_all(request.model, request.device, ACCURATE, request.prompts, adapted.answers, adapted.adapters, plain=True)
    return adapters_seen.acting(request.model, request.device, ACCURATE, adapted.adapters)


def precision(core: Any, device: str, options: Options) -> str:
    """What the device computes in with these options, as "bf16"; "" for the model's own precision."""
    known = core.get_property(device, "SUPPORTED_PROPERTIES")
    core.set_property(device, {name: value for name, value in options.items() if name in known})
    name = str(core.get_property(device, "INFERENCE_PRECISION_HINT").get_type_name())
    return "" if name == "dynamic" else name


def run(request: GenerateRequest) -> GenerateResult:
    """Answer the prompts in the model's own precision, and with the recipe's options."""
    import openvino as ov

    core, options = ov.Core(), given(request.runtime_options)
    adapters = request.adapted.adapters if request.adapted else ()
    loaded = answer_all(request.model, request.device, ACCURATE, request.prompts, request.answers, adapters)
    if options == ACCURATE:  # the same run again would give the same answers
        shutil.copyfile(request.answers, request.in_use)
    else:
        answer_all(request.model, request.device, options, request.prompts, request.in_use, adapters)
    return GenerateResult(
        device=request.device,
        device_name=str(core.get_property(request.device, "FULL_DEVICE_NAME")).strip(),
        load_s=loaded.load_s,
        end_tokens=loaded.end_tokens,
        runtime_options=ACCURATE,
        drafted=with_draft(request, request.draft, options) if request.draft else None,
        adapted=without_adapters(request, request.adapted) if request.adapted else None,
        in_use=UsedAnswers(
            runtime_options={name: str(value) for name, value in options.items()},
            precision=precision(core, request.device, options),
            remedy=REMEDY,
        ),
    )


if __name__ == "__main__":
    start.run(run, GenerateRequest)
