"""What every generating worker reads and writes: prompts, and answers as lines of JSON, written as they come.

Plain classes, since the environment of one runtime has no pydantic; `seams.GenerateRequest` holds such prompts.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

from bakehouse.child import events


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One of `messages` (role and content each, for the chat template) and `raw` (text as it is); the answer's most tokens."""

    messages: tuple[dict[str, str], ...] | None = None
    raw: str | None = None
    max_new_tokens: int


class PromptJson(TypedDict):
    """A prompt as request.json has it."""

    messages: list[dict[str, str]] | None
    raw: str | None
    max_new_tokens: int


@dataclass(frozen=True, kw_only=True)
class AnswerRow:
    """A greedy answer: `tokens` with the end token if it was reached (`ended`), `text` without special tokens, times in seconds.

    Of the reference also `runners`: for each token the second best, and by how much its logit is smaller.
    """

    index: int
    prompt_ids: tuple[int, ...]
    prompt_tokens: int
    tokens: tuple[int, ...]
    text: str
    ended: bool
    first_token_s: float
    tokens_per_s: float | None
    runners: tuple[tuple[int, float], ...] = ()


def prompts(values: Iterable[PromptJson]) -> tuple[Prompt, ...]:
    """The prompts of a request, for a worker that has no model of it."""
    return tuple(
        Prompt(messages=tuple(one["messages"]) if one["messages"] else None, raw=one["raw"], max_new_tokens=one["max_new_tokens"])
        for one in values
    )


def write(answers: Path, given: Sequence[Prompt], answer: Callable[[int, Prompt], AnswerRow]) -> None:
    """Have `answer` answer every prompt, given its index, and write the answers one by one."""
    for index, prompt in enumerate(given):
        events.progress("answering", index, len(given), "prompts")
        add(answers, answer(index, prompt))


def add(answers: Path, answer: AnswerRow) -> None:
    """Append one line and bring it to the disk: what was answered before a crash is evidence."""
    with answers.open("a", encoding="utf-8", newline="\n") as lines:
        lines.write(json.dumps(asdict(answer), ensure_ascii=False) + "\n")
        lines.flush()
        os.fsync(lines.fileno())


def processor() -> str:
    """What this machine's processor is called."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return named or platform.processor() or platform.machine()
