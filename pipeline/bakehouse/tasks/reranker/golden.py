"""The golden inputs of rerankers: a query, texts, and which of them fits best or in which order they do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

from pydantic import ConfigDict, Field

from bakehouse.recipe.model import Fault, Model, all_of
from bakehouse.recipe.types import Text, quoted

TASK = "reranker"  # as recipes call it
# How far a score, which is between 0 and 1, may be from the source's, by the precision of the weights.
MOST = {"fp32": 0.005, "fp16": 0.005, "int8": 0.05}
MOST_OF_FOUR_BITS = 0.2


class Ranked(Model):
    """A query, texts to choose from, and which of them must get the highest score, or the order of all of them."""

    task: ClassVar[str] = TASK
    own: ClassVar[frozenset[str]] = frozenset({"best", "order", "max_score_difference", "instruction"})

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["best"]}, {"required": ["order"]}]})

    query: Text = Field(description="The text that is looked for.")
    texts: tuple[Text, ...] = Field(min_length=2, description="Texts to choose from.")
    best: Text | None = Field(default=None, description="The text that must get the highest score.", exclude_if=lambda text: text is None)
    order: tuple[Text, ...] | None = Field(
        default=None, description="All of the texts, the one that must get the highest score first.", exclude_if=lambda texts: texts is None
    )
    instruction: Text | None = Field(
        default=None,
        description="What a model that takes an instruction (Qwen3-Reranker) judges texts by; by default that of its card.",
        exclude_if=lambda text: text is None,
    )
    max_score_difference: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Largest difference of a score to the source's; by default 0.005, with 8 bits 0.05, with 4 bits 0.2.",
        exclude_if=lambda most: most is None,
    )

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        if len(set(self.texts)) < len(self.texts):
            yield Fault(("texts",), "A text is named twice.", "Name each once.")
        if self.best is None and self.order is None:
            yield Fault((), "Nothing is expected of the scores.", "Add best or order.")
        if self.best is not None and self.order is not None:
            yield Fault(("best",), "The first text of `order` is the best already.", "Keep one of best and order.")
        if self.best is not None and self.best not in self.texts:
            yield Fault(("best",), f"{quoted(self.best)} is not among the texts.", "Write one of them.")
        if self.order is not None and sorted(self.order) != sorted(self.texts):
            yield Fault(("order",), "These are not the texts.", "Name each of the texts once.")

    def normal(self) -> Self:
        """The same; nothing is left open."""
        return self


def mine(golden: Sequence[Model]) -> tuple[Ranked, ...]:
    """The golden inputs of a recipe of this task, which are all of this kind."""
    return all_of(Ranked, golden)


def most(golden: Ranked, weights: str) -> float:
    """How far a score may be from the source's."""
    return golden.max_score_difference if golden.max_score_difference is not None else MOST.get(weights, MOST_OF_FOUR_BITS)
