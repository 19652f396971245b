"""The golden inputs of text-to-image models: a prompt, and how a picture of it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import Field

from bakehouse.recipe.model import Model, all_of
from bakehouse.recipe.types import Text

TASK = "text-to-image"  # as recipes call it
STEPS = "steps"
# The largest mean difference of the colours, 0 to 255, by the precision of the weights.
MOST = {"fp32": 4.0, "fp16": 4.0, "int8": 12.0}


class Draw(Model):
    """A prompt, of which a build must draw the picture that its source draws from the same random numbers."""

    task: ClassVar[str] = TASK
    own: ClassVar[frozenset[str]] = frozenset({STEPS, "seed", "width", "height", "guidance", "max_difference"})

    prompt: Text = Field(description="What the picture shall show.")
    steps: int = Field(ge=1, le=200, description="How many steps of denoising are made.")
    seed: int = Field(42, ge=0, le=2**31 - 1, description="The seed of the random numbers that the picture begins with.")
    width: int = Field(512, ge=16, le=2048, multiple_of=8, description="Points from left to right.")
    height: int = Field(512, ge=16, le=2048, multiple_of=8, description="Points from top to bottom.")
    guidance: float = Field(7.5, ge=0, le=50, description="How much the prompt counts: the scale of classifier-free guidance.")
    max_difference: float | None = Field(
        default=None,
        ge=0,
        le=255,
        description="Largest mean difference of the colours, 0 to 255, to the source's picture; by default 4, with 8 bits 12.",
        exclude_if=lambda most: most is None,
    )

    def normal(self) -> Self:
        """The same; nothing is left open."""
        return self


def mine(golden: Sequence[Model]) -> tuple[Draw, ...]:
    """The golden inputs of a recipe of this task, which are all of this kind."""
    return all_of(Draw, golden)


def most(golden: Draw, weights: str) -> float:
    """The largest mean difference of the colours."""
    return golden.max_difference if golden.max_difference is not None else MOST[weights]
