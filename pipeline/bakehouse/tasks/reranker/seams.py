"""What crosses between the pipeline and the workers of rerankers."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from bakehouse.records import Written
from bakehouse.tasks.seams import RunRequest, SourceRequest, SourceSpec

SCORES = "scores.json"


class Question(Written):
    """A query, the texts that get a score for it, and what a model that takes an instruction is to judge them by."""

    query: str
    texts: tuple[str, ...]
    instruction: str | None = Field(default=None, exclude_if=lambda text: text is None)


class ReferenceSpec(SourceSpec):
    """The questions."""

    questions: tuple[Question, ...]


class ReferenceRequest(SourceRequest):
    """The questions, and the file for the scores."""

    questions: tuple[Question, ...]
    scores: Path


class RerankRequest(RunRequest):
    """The questions, and the file for the scores."""

    questions: tuple[Question, ...]
    scores: Path


class Scores(Written):
    """The score of each text of each question, in their order, between 0 and 1; `in_use` those that users get.

    `writes`: of a source, whether it is a model that writes text.
    """

    scores: tuple[tuple[float, ...], ...]
    in_use: tuple[tuple[float, ...], ...] = ()
    writes: bool = Field(default=False, exclude_if=lambda writes: not writes)
