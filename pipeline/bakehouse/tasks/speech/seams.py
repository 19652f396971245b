"""What crosses between the pipeline and the workers of speech recognition."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from bakehouse.records import Timed, Timestamps, Written
from bakehouse.tasks.seams import RunRequest, SourceRequest, SourceSpec

HEARD = "heard.json"


class ReferenceSpec(SourceSpec):
    """The language of each recording, as the source gets it, and which times it gives, if any are asked for.

    The recordings are what the step needs.
    """

    languages: tuple[str | None, ...]
    timestamps: tuple[Timestamps | None, ...] = Field((), exclude_if=lambda timestamps: not timestamps)


class Recorded(Written):
    """A recording, its language if the model gets it, and which times are wanted."""

    path: Path
    language: str | None = None
    timestamps: Timestamps | None = None


class ReferenceRequest(SourceRequest):
    """The recordings, and the file for what is heard in them."""

    recordings: tuple[Recorded, ...]
    heard: Path


class TranscribeRequest(RunRequest):
    """The recordings, and the file for what is heard in them."""

    recordings: tuple[Recorded, ...]
    heard: Path


class Transcription(Written):
    """What a model wrote down of a recording, and when that is said, if it was asked.

    `tokens` are without those that begin and end every text, and without those of times.
    """

    tokens: tuple[int, ...]
    text: str
    timed: tuple[Timed, ...] = Field((), exclude_if=lambda timed: not timed)


class Heard(Written):
    """What was heard in each recording, in their order; `in_use` by users."""

    heard: tuple[Transcription, ...]
    in_use: tuple[Transcription, ...] = ()
