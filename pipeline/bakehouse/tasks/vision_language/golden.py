"""The golden inputs of vision-language models: a picture, a prompt about it, and what the answer must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from pydantic import Field

from bakehouse.recipe.model import Model, all_of
from bakehouse.recipe.types import LocalPath, Text

TASK = "vision-language"  # as recipes call it
PICTURE = "picture"
EXACT = ("fp32", "fp16")  # weights with which a model must write the source's tokens


class Look(Model):
    """A picture and a prompt about it, which a build must answer as its source does, and as the recipe says if it does."""

    task: ClassVar[str] = TASK
    own: ClassVar[frozenset[str]] = frozenset({PICTURE})

    picture: LocalPath = Field(
        description="A PNG or JPEG file: absolute, from the home (`~/`), or relative to the recipe. It is taken as it is stored, without "
        "the rotation that EXIF data may name."
    )
    prompt: Text = Field(description="What the user says about the picture, which comes before it.")
    contains: tuple[Text, ...] = Field(
        default=(), description="Texts that the answer must contain, all of them.", exclude_if=lambda texts: not texts
    )
    max_new_tokens: int = Field(64, ge=1, le=4096, description="Most tokens the answer may have.")
    min_tokens: int = Field(
        default=0,
        ge=0,
        le=4096,
        description="How many of the source's first tokens a build with 8 or 4 bits must have too; in floating point it must have all.",
        exclude_if=lambda least: not least,
    )

    def normal(self) -> Self:
        """The same with what must be contained as a set."""
        return self.model_copy(update={"contains": tuple(sorted(set(self.contains)))})

    def named_files(self) -> Mapping[str, str]:
        """The picture."""
        return {PICTURE: self.picture}


def mine(golden: Sequence[Model]) -> tuple[Look, ...]:
    """The golden inputs of a recipe of this task, which are all of this kind."""
    return all_of(Look, golden)
