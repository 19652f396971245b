"""Computes the next-token distributions of the unquantized checkpoint in transformers, on the evaluation text and its own answers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, zip_longest
from typing import Any

from bakehouse.child import events, hermetic, mapped, start
from bakehouse.recipe.bounds import FLOORS
from bakehouse.tasks.text_generation.seams import FidelityReferenceRequest, FidelityReferenceResult
from bakehouse.tasks.text_generation.workers import (
    chats,
    config_fields,
    fidelity_figures,
    fidelity_files,
    fidelity_text,
    greedy,
    reference_model,
    tokenizers_loading,
    transformers_generate,
)
from bakehouse.tasks.text_generation.workers.answers import Prompt
from bakehouse.tasks.text_generation.workers.fidelity_figures import ANSWERS, Kept, Window


def text_windows(request: FidelityReferenceRequest, tokenizer: Any, longest: int) -> list[Window]:
    """The windows of the evaluation text, scored from `fidelity_text.FIRST_SCORED` on."""
    if longest <= fidelity_text.FIRST_SCORED + 1:
        return []
    passages = fidelity_text.own(request.texts) if request.texts else fidelity_text.shipped().passages
    found = fidelity_text.windows(passages, partial(_encode, tokenizer), longest, fidelity_text.MOST if request.texts else None)
    return [Window(window.set, window.ids, fidelity_text.FIRST_SCORED) for window in found]


def _encode(tokenizer: Any, text: str) -> list[int]:
    return [int(token) for token in tokenizer(text)["input_ids"]]


def answer_windows(model: Any, tokenizer: Any, context: int | None, tokens: int) -> list[Window]:
    """The source's greedy answers to the shipped prompts, each with its prompt before it, scored from the answer's first token on."""
    asked = [prompt_of(tokenizer, text, tokens) for text in fidelity_text.shipped().prompts]
    answer = reference_model.alone(model, partial(greedy.answer, model, tokenizer))
    found = []
    for index, prompt in enumerate(asked):
        events.progress("answering", index, len(asked), "prompts")
        size = len(greedy.encode(tokenizer, prompt)["input_ids"][0])
        if context is not None and size + tokens > context:
            continue
        row = answer(index, prompt)
        if row.tokens:
            found.append(Window(ANSWERS, (*row.prompt_ids, *row.tokens), len(row.prompt_ids) - 1))
    return found


def prompt_of(tokenizer: Any, text: str, tokens: int) -> Prompt:
    """A prompt as a chat, or as it is for a model without a chat template or whose template does not take it."""
    chat = ({"role": "user", "content": text},)
    rendered = chats.attempt(lambda given, _: chats.reference_prompt(tokenizer, given), chat, "")
    return Prompt(messages=chat, max_new_tokens=tokens) if rendered else Prompt(raw=text, max_new_tokens=tokens)


def interleaved(windows: Sequence[Window]) -> list[Window]:
    """One window of each kind of text after another, so that the first ones have all kinds."""
    kinds = [[window for window in windows if window.set == name] for name in dict.fromkeys(window.set for window in windows)]
    return [window for window in chain.from_iterable(zip_longest(*kinds)) if window is not None]


def distributions(model: Any, windows: Sequence[Window]) -> Iterator[Kept]:
    """What is kept of the model's distributions in each window."""
    forward = reference_model.alone(model, partial(logits, model))
    for index, window in enumerate(windows):
        events.progress("computing the source's distributions", index, len(windows), "windows")
        yield fidelity_figures.keep(forward(window), window.ids[window.first + 1 :])


def logits(model: Any, window: Window) -> Any:
    """The model's logits at the scored positions of a window: an array, positions x vocabulary."""
    import torch

    places = torch.tensor(list(window.scored), dtype=torch.long)
    selected = {"logits_to_keep": places} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    made = model(input_ids=torch.tensor([window.ids]), use_cache=False, **selected).logits[0]
    return (made if selected else made[places]).float().numpy()


def compute(request: FidelityReferenceRequest) -> FidelityReferenceResult:
    """Write reference.json and reference.npz."""
    import torch

    events.progress("loading the checkpoint")
    model = transformers_generate.load(request.checkpoint, remote_code=request.remote_code, float32_below=request.float32_below)
    tokenizer = tokenizers_loading.load(request.checkpoint, request.remote_code)
    model.generation_config.eos_token_id = tokenizers_loading.end_tokens_of(request.checkpoint, request.remote_code)
    context = config_fields.context(model.config.to_dict())
    with torch.inference_mode(), mapped.kept_small(request.checkpoint, most_bytes=mapped.AGAIN_BYTES):
        windows = text_windows(request, tokenizer, min(fidelity_text.LONGEST, context or fidelity_text.LONGEST))
        windows = interleaved([*windows, *answer_windows(model, tokenizer, context, request.answer_tokens)])
        if not windows:
            events.refuse(
                "The evaluation text gives no tokens to measure fidelity on.",
                f"Give texts of more than {fidelity_text.FIRST_SCORED} tokens; a model's context must have room for them.",
            )
        kept = list(distributions(model, windows))
    precision = str(model.dtype).removeprefix("torch.")
    facts = fidelity_files.Facts(request.text, precision, FLOORS.get(precision, 0.0))
    positions = fidelity_files.write_reference(request.files, facts, windows, kept)
    return FidelityReferenceResult(dtype=precision, windows=len(windows), positions=positions)


def run(request: FidelityReferenceRequest) -> FidelityReferenceResult:
    """Write the reference."""
    hermetic.leave_out("sklearn", "boto3")
    with start.own_modules():
        return compute(request)


if __name__ == "__main__":
    start.run(run, FidelityReferenceRequest)
