"""The file of answers that a generating worker writes."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter

from bakehouse.tasks.text_generation.workers.answers import AnswerRow

NAME = "answers.jsonl"
_ROW = TypeAdapter(AnswerRow)


def read(path: Path) -> list[AnswerRow]:
    """The answers, in the order in which they were written.

    Raises:
        pydantic.ValidationError: a line is something else.
    """
    # Bytes, since the lines of a text end at U+2028 as well, which an answer may hold.
    return [_ROW.validate_json(line) for line in path.read_bytes().splitlines()]


def drafted(answers: Path) -> Path:
    """Where a worker writes the answers that users get with a draft."""
    return answers.with_name("answers-drafted.jsonl")


def without_adapters(answers: Path) -> Path:
    """Where a worker writes the answers of a model without its separate adapters."""
    return answers.with_name("answers-without-adapters.jsonl")


def in_use(answers: Path) -> Path:
    """Where a worker writes the answers that users get, next to those in the model's own precision."""
    return answers.with_name("answers-in-use.jsonl")
