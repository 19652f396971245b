"""What crosses between the pipeline and the workers of vision-language models."""

from __future__ import annotations

from pathlib import Path

from bakehouse.records import Written
from bakehouse.tasks.seams import RunRequest, SourceRequest, SourceSpec

ANSWERS = "answers.json"


class Question(Written):
    """A prompt about a picture, and the most tokens of an answer."""

    prompt: str
    max_new_tokens: int


class ReferenceSpec(SourceSpec):
    """The prompts; the pictures are what the step needs."""

    questions: tuple[Question, ...]


class Asked(Question):
    """The same with the picture."""

    picture: Path


class ReferenceRequest(SourceRequest):
    """The prompts with their pictures, and the file for the answers."""

    questions: tuple[Asked, ...]
    answers: Path


class LookRequest(RunRequest):
    """The prompts with their pictures, and the file for the answers."""

    questions: tuple[Asked, ...]
    answers: Path


class Answer(Written):
    """What a model answered: its tokens without the end token, the text, and how many tokens picture and prompt had."""

    tokens: tuple[int, ...]
    text: str
    prompt_tokens: int


class Answers(Written):
    """The answer to each prompt, in their order; `in_use` by users."""

    answers: tuple[Answer, ...]
    in_use: tuple[Answer, ...] = ()
