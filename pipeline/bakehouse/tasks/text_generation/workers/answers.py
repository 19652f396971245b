"""What every generator reads and writes: prompts in one JSON file, answers as lines of JSON, written as they come."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from bakehouse.child import events


class Prompt(TypedDict, total=False):
    """One of `messages` (role and content each, for the chat template) and `raw` (text as it is); always `max_new_tokens`."""

    messages: list[dict[str, str]]
    raw: str
    max_new_tokens: int


@dataclass(frozen=True)
class Answer:
    """A greedy answer: `tokens` with the end token if it was reached (`ended`), `text` without special tokens, times in seconds.

    Of the reference also `runners`: for each token the second best, and by how much its logit is smaller.
    """

    index: int
    prompt_ids: list[int]
    prompt_tokens: int
    tokens: list[int]
    text: str
    ended: bool
    first_token_s: float
    tokens_per_s: float | None
    runners: list[tuple[int, float]] = field(default_factory=list)


def prompts(request: Path) -> list[Prompt]:
    """The prompts of a request file, `{"prompts": [...]}`."""
    asked: dict[str, list[Prompt]] = json.loads(request.read_text(encoding="utf-8"))
    return asked["prompts"]


def write(answers: Path, asked: list[Prompt], answer: Callable[[int, Prompt], Answer]) -> None:
    """Have `answer` answer every prompt, given its index, and write the answers one by one."""
    for index, prompt in enumerate(asked):
        events.progress("answering", index, len(asked), "prompts")
        add(answers, answer(index, prompt))


def add(answers: Path, answer: Answer) -> None:
    """Append one line and bring it to the disk: what was answered before a crash is evidence."""
    with answers.open("a", encoding="utf-8", newline="\n") as lines:
        lines.write(json.dumps(asdict(answer), ensure_ascii=False) + "\n")
        lines.flush()
        os.fsync(lines.fileno())


def report(device: str, device_name: str, load_s: float, **more: Any) -> None:
    """Facts about the run, said once at its end."""
    events.result(device=device, device_name=device_name, load_s=load_s, **more)


def processor() -> str:
    """What this machine's processor is called."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return named or platform.processor() or platform.machine()
