"""Counts the tokens of golden prompts with a checkpoint's own tokenizer, as the reference makes them: before any work is done."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bakehouse.child import events, hermetic, leash
from bakehouse.tasks.text_generation.workers import answers, chats, tokenizers_loading


def count(tokenizer: Any, prompt: answers.Prompt) -> int | None:
    """Tokens of a prompt; None for a chat that the template refuses, which is said elsewhere."""
    if "messages" not in prompt:
        return len(tokenizer(prompt["raw"])["input_ids"])
    try:
        text = chats.reference_prompt(tokenizer, prompt["messages"])
    except Exception:  # of a template's own, of a type, of a missing field
        return None
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def main() -> None:
    """`CHECKPOINT REQUEST`; reports `counts`, a number or null for each prompt."""
    leash.hold()
    hermetic.seal()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("request", type=Path)
    told = parser.parse_args()
    tokenizer = tokenizers_loading.load(told.checkpoint)
    events.result(counts=[count(tokenizer, prompt) for prompt in answers.prompts(told.request)])


if __name__ == "__main__":
    main()
