"""The golden inputs of speech recognition: a recording, and what is said in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints

from bakehouse.recipe.model import Fault, Model, all_of
from bakehouse.recipe.types import LocalPath, Text
from bakehouse.records import Timestamps

TASK = "speech-recognition"  # as recipes call it
AUDIO = "audio"
EXACT = ("fp32", "fp16")  # weights with which a model must write the source's tokens
# The largest share of words that may differ, by the precision of the weights.
MOST = {"fp32": 0.05, "fp16": 0.05, "int8": 0.1}
MOST_OF_FOUR_BITS = 0.25
# How many seconds times may be away from the source's in the mean, by the precision of the weights.
MOST_SECONDS = {"fp32": 0.2, "fp16": 0.2, "int8": 0.3}
MOST_SECONDS_OF_FOUR_BITS = 0.5


class Recording(Model):
    """A recording, which a build must write down as its source does, and as the recipe says if it does."""

    task: ClassVar[str] = TASK
    own: ClassVar[frozenset[str]] = frozenset({AUDIO, "text", "language", "max_word_error", "timestamps", "max_time_difference"})

    audio: LocalPath = Field(
        description="A WAV file of at most an hour, one channel of 16 bits at 16,000 Hz: absolute, from the home (`~/`), or relative "
        "to the recipe."
    )
    text: Text | None = Field(default=None, description="What is said in it.", exclude_if=lambda text: text is None)
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] | None = Field(
        default=None,
        description="The language that the model gets, such as `de`; by default it finds out.",
        exclude_if=lambda code: code is None,
    )
    max_word_error: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Largest share of words that may differ from the source's and from `text`; by default 0.05, with 8 bits 0.1, with 4 "
        "bits 0.25.",
        exclude_if=lambda most: most is None,
    )
    timestamps: Timestamps | None = Field(
        default=None,
        description="Which times the model must give with the text: those of `segments` (sentences, about) or of `words`.",
        exclude_if=lambda kind: kind is None,
    )
    max_time_difference: float | None = Field(
        default=None,
        gt=0,
        description="Most seconds that starts and ends may be away from the source's in the mean; by default 0.2, with 8 bits 0.3, with 4 "
        "bits 0.5. Segments in floating point must be the source's.",
        exclude_if=lambda most: most is None,
    )

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        if self.max_time_difference is not None and self.timestamps is None:
            yield Fault(("max_time_difference",), "There are no times to compare.", "Add `timestamps`, or leave it out.")

    def normal(self) -> Self:
        """The same; nothing is left open."""
        return self

    def named_files(self) -> Mapping[str, str]:
        """The recording."""
        return {AUDIO: self.audio}


def mine(golden: Sequence[Model]) -> tuple[Recording, ...]:
    """The golden inputs of a recipe of this task, which are all of this kind."""
    return all_of(Recording, golden)


def most(golden: Recording, weights: str) -> float:
    """The largest share of words that may differ."""
    return golden.max_word_error if golden.max_word_error is not None else MOST.get(weights, MOST_OF_FOUR_BITS)


def most_seconds(golden: Recording, weights: str) -> float:
    """How many seconds the times may be away from the source's in the mean."""
    return golden.max_time_difference if golden.max_time_difference is not None else MOST_SECONDS.get(weights, MOST_SECONDS_OF_FOUR_BITS)
