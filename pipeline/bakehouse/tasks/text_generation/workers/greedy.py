"""Greedy answers of a transformers model. A runtime whose environment has no pydantic uses it, too."""

from __future__ import annotations

import time
from typing import Any

from bakehouse.child import events
from bakehouse.tasks.text_generation.workers import answers, chats, loading


class Clock:
    """A streamer that keeps only when tokens came: transformers puts the prompt first, then every token."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: Any) -> None:
        self.times.append(time.perf_counter())  # time.monotonic() stands still for 16 ms on Windows

    def end(self) -> None:
        pass


def encode(tokenizer: Any, prompt: answers.Prompt) -> Any:
    """The prompt's ids and mask as tensors: messages through the chat template, raw text with the tokenizer's own special tokens."""
    if prompt.messages is None:
        return tokenizer(prompt.raw, return_tensors="pt")
    try:
        text = chats.reference_prompt(tokenizer, prompt.messages)
    except Exception as error:  # of a template's own, of a type, of a missing field
        events.refuse(
            "The model's chat template does not take one of the golden prompts.",
            "Write a chat as the template wants it: with or without a system message, user and assistant in turn, the user last.",
            [f"{type(error).__name__}: {error}".splitlines()[0], *(f"{one['role']}: {one['content']}" for one in prompt.messages)],
        )
    return tokenizer(text, add_special_tokens=False, return_tensors="pt")


def answer(model: Any, tokenizer: Any, index: int, prompt: answers.Prompt) -> answers.AnswerRow:
    """One greedy answer; ends at the end tokens of the checkpoint's generation config."""
    clock = Clock()
    inputs = encode(tokenizer, prompt)
    loading.refuse_beyond(model, tokenizer, inputs["input_ids"][0].tolist())
    generated = model.generate(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        do_sample=False,
        temperature=None,  # a checkpoint's generation config may set these for sampling, and transformers warns of them
        top_p=None,
        top_k=None,
        max_new_tokens=prompt.max_new_tokens,
        streamer=clock,
        output_scores=True,
        return_dict_in_generate=True,
    )
    made = generated.sequences[0].tolist()
    ids = inputs["input_ids"][0].tolist()
    tokens = made[len(ids) :]
    first, rest = clock.times[1] - clock.times[0], clock.times[-1] - clock.times[1]
    return answers.AnswerRow(
        index=index,
        prompt_ids=tuple(ids),
        prompt_tokens=len(ids),
        tokens=tuple(tokens),
        text=tokenizer.decode(tokens, skip_special_tokens=True),
        ended=tokens[-1] in end_tokens(model),
        first_token_s=first,
        tokens_per_s=(len(tokens) - 1) / rest if len(tokens) > 1 and rest else None,
        runners=tuple(runner_up(scores[0]) for scores in generated.scores),
    )


def runner_up(scores: Any) -> tuple[int, float]:
    """The second best token, and by how much its logit is smaller than the best one's."""
    values, tokens = scores.float().topk(2)
    return int(tokens[1]), min(1e9, float(values[0] - values[1]))


def end_tokens(model: Any) -> list[int]:
    """The ids that end an answer."""
    named = model.generation_config.eos_token_id
    return [] if named is None else sorted(named) if isinstance(named, list) else [named]
