"""What crosses between the pipeline and the workers of speech recognition."""

from __future__ import annotations

from pathlib import Path

from bakehouse.records import Written
from bakehouse.tasks.seams import RunRequest, SourceRequest, SourceSpec

HEARD = "heard.json"


class ReferenceSpec(SourceSpec):
    """The language of each recording, as the source gets it; the recordings are what the step needs."""

    languages: tuple[str | None, ...]


class Recorded(Written):
    """A recording, and its language if the model gets it."""

    path: Path
    language: str | None = None


class ReferenceRequest(SourceRequest):
    """The recordings, and the file for what is heard in them."""

    recordings: tuple[Recorded, ...]
    heard: Path


class TranscribeRequest(RunRequest):
    """The recordings, and the file for what is heard in them."""

    recordings: tuple[Recorded, ...]
    heard: Path


class Transcription(Written):
    """What a model wrote down of a recording: its tokens without those that begin and end every text, and the text."""

    tokens: tuple[int, ...]
    text: str


class Heard(Written):
    """What was heard in each recording, in their order; `in_use` by users."""

    heard: tuple[Transcription, ...]
    in_use: tuple[Transcription, ...] = ()
