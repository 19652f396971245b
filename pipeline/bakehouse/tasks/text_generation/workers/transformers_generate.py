"""Answers prompts greedily with the unquantized checkpoint in transformers: the reference that every build is held against."""

from __future__ import annotations

import platform
import time
from functools import partial
from pathlib import Path
from typing import Any

from bakehouse.child import events, start
from bakehouse.tasks.text_generation.workers import answers, chats, loading, reference_model, tokenizers_loading


class Clock:
    """A streamer that keeps only when tokens came: transformers puts the prompt first, then every token."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: Any) -> None:
        self.times.append(time.monotonic())

    def end(self) -> None:
        pass


def load(checkpoint: Path, options: dict[str, Any]) -> Any:
    """The model, in float32 when it has fewer parameters than options say, else in the checkpoint's own precision."""
    import torch

    model = loading.causal_lm(checkpoint, trust_remote_code=options["remote_code"], dtype="auto")
    reference_model.forget_left_over(model.config)
    reference_model.compute_anew(model)
    if model.num_parameters() < options["float32_below"]:
        model = model.to(torch.float32)
    return model.eval()


def encode(tokenizer: Any, prompt: answers.Prompt) -> Any:
    """The prompt's ids and mask as tensors: messages through the chat template, raw text with the tokenizer's own special tokens."""
    if "messages" in prompt:
        try:
            text = chats.reference_prompt(tokenizer, prompt["messages"])
        except Exception as error:  # of a template's own, of a type, of a missing field
            events.refuse(
                "The model's chat template does not take one of the golden prompts.",
                "Write a chat as the template wants it: with or without a system message, user and assistant in turn, the user last.",
                [f"{type(error).__name__}: {error}".splitlines()[0], *(f"{one['role']}: {one['content']}" for one in prompt["messages"])],
            )
        return tokenizer(text, add_special_tokens=False, return_tensors="pt")
    return tokenizer(prompt["raw"], return_tensors="pt")


def answer(model: Any, tokenizer: Any, index: int, prompt: answers.Prompt) -> answers.Answer:
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
        max_new_tokens=prompt["max_new_tokens"],
        streamer=clock,
        output_scores=True,
        return_dict_in_generate=True,
    )
    made = generated.sequences[0].tolist()
    ids = inputs["input_ids"][0].tolist()
    tokens = made[len(ids) :]
    first, rest = clock.times[1] - clock.times[0], clock.times[-1] - clock.times[1]
    return answers.Answer(
        index=index,
        prompt_ids=ids,
        prompt_tokens=len(ids),
        tokens=tokens,
        text=tokenizer.decode(tokens, skip_special_tokens=True),
        ended=tokens[-1] in end_tokens(model),
        first_token_s=first,
        tokens_per_s=(len(tokens) - 1) / rest if len(tokens) > 1 else None,
        runners=[runner_up(scores[0]) for scores in generated.scores],
    )


def runner_up(scores: Any) -> tuple[int, float]:
    """The second best token, and by how much its logit is smaller than the best one's."""
    values, tokens = scores.float().topk(2)
    return int(tokens[1]), min(1e9, float(values[0] - values[1]))


def end_tokens(model: Any) -> list[int]:
    """The ids that end an answer."""
    told = model.generation_config.eos_token_id
    return [] if told is None else sorted(told) if isinstance(told, list) else [told]


def main() -> None:
    """`CHECKPOINT REQUEST ANSWERS OPTIONS`, OPTIONS being the step's options as JSON."""
    told = start.parser(__doc__, "checkpoint", "request", "answers").parse_args()
    with start.own_modules():
        events.progress("loading the checkpoint")
        import torch

        started = time.monotonic()
        model = load(told.checkpoint, told.options)
        tokenizer = tokenizers_loading.load(told.checkpoint, told.options["remote_code"])
        model.generation_config.eos_token_id = tokenizers_loading.end_tokens_of(told.checkpoint, told.options["remote_code"])
        load_s = time.monotonic() - started
        with torch.inference_mode():
            answers.write(told.answers, answers.prompts(told.request), reference_model.alone(model, partial(answer, model, tokenizer)))
        dtype = str(model.dtype).removeprefix("torch.")
        answers.report("CPU", platform.processor() or platform.machine(), load_s, dtype=dtype, end_tokens=end_tokens(model))


if __name__ == "__main__":
    main()
