"""The golden inputs of embeddings: a query, texts, and the one of them that is nearest to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Self

from pydantic import Field

from bakehouse.recipe.model import Fault, Model, all_of
from bakehouse.recipe.types import Text, quoted

TASK = "embeddings"  # as recipes call it
# The least cosine between a build's vector of a text and the source's, by the precision of its weights.
LEAST = {"fp32": 0.999, "fp16": 0.999, "int8": 0.99}
LEAST_OF_FOUR_BITS = 0.9


class Search(Model):
    """A query, texts to choose from, and which of them its vector must be nearest to."""

    task: ClassVar[str] = TASK
    own: ClassVar[frozenset[str]] = frozenset({"query", "texts", "closest", "min_cosine"})

    query: Text = Field(description="The text that is looked for; with the instruction that the model wants before it, if any.")
    texts: tuple[Text, ...] = Field(min_length=2, description="Texts to choose from.")
    closest: Text = Field(description="The one of the texts whose vector must be nearest to the query's.")
    min_cosine: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Least cosine of each vector to the source's; by default 0.999, with 8 bits 0.99, with 4 bits 0.9.",
        exclude_if=lambda least: least is None,
    )

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        if self.closest not in self.texts:
            yield Fault(("closest",), f"{quoted(self.closest)} is not among the texts.", "Write one of them.")
        if len(set(self.texts)) < len(self.texts):
            yield Fault(("texts",), "A text is named twice.", "Name each once: which of two equal ones is nearer cannot be judged.")

    def normal(self) -> Self:
        """The same; nothing is left open."""
        return self


def mine(golden: Sequence[Model]) -> tuple[Search, ...]:
    """The golden inputs of a recipe of this task, which are all of this kind."""
    return all_of(Search, golden)


def texts(golden: Iterable[Search]) -> tuple[str, ...]:
    """Every text that a vector is needed of, once."""
    return tuple(dict.fromkeys(text for one in golden for text in (one.query, *one.texts)))


def least(golden: Search, weights: str) -> float:
    """The least cosine to the source's vectors."""
    return golden.min_cosine if golden.min_cosine is not None else LEAST.get(weights, LEAST_OF_FOUR_BITS)
