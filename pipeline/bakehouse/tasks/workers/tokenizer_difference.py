"""Where two tokenizers, or two template engines, differ. Plain classes: they cross from a worker to its parent within its result."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DifferentIds:
    """A text of which the runtime makes other ids than transformers; `limit` where that is a known limit of the runtime."""

    text: str
    expected_ids: list[int]
    ids: list[int]
    limit: str | None = None


@dataclass(frozen=True)
class DifferentText:
    """A text whose ids the runtime decodes to another text than transformers; `limit` where that is a known limit of the runtime."""

    text: str
    expected_text: str
    decoded_text: str
    limit: str | None = None


@dataclass(frozen=True)
class DifferentPrompt:
    """A chat of which the runtime's template engine makes another prompt than transformers, None if it has no template."""

    chat: tuple[dict[str, str], ...]
    expected_prompt: str
    prompt: str | None = None


Difference = DifferentIds | DifferentText | DifferentPrompt


def is_limit(case: Difference) -> bool:
    """Whether a difference is a known limit of the runtime."""
    return not isinstance(case, DifferentPrompt) and case.limit is not None
