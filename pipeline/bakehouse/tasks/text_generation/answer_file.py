"""Reads the answers that a generating worker wrote."""

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
    return [_ROW.validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]
