"""Counts the tokens of golden prompts with a checkpoint's own tokenizer, as the reference makes them: before any work is done."""

from __future__ import annotations

from typing import Any

from bakehouse.child import start
from bakehouse.tasks.text_generation.seams import CountRequest, CountResult
from bakehouse.tasks.text_generation.workers import answers, chats, tokenizers_loading


def count(tokenizer: Any, prompt: answers.Prompt) -> int | None:
    """Tokens of a prompt; None for a chat that the template refuses, which the reference reports."""
    if prompt.messages is None:
        return len(tokenizer(prompt.raw)["input_ids"])
    try:
        text = chats.reference_prompt(tokenizer, prompt.messages)
    except Exception:  # of a template's own, of a type, of a missing field
        return None
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def run(request: CountRequest) -> CountResult:
    """Count the tokens of each prompt."""
    tokenizer = tokenizers_loading.load(request.checkpoint)
    return CountResult(counts=tuple(count(tokenizer, prompt) for prompt in request.prompts))


if __name__ == "__main__":
    start.run(run, CountRequest)
