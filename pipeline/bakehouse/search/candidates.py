"""A candidate of a search: a build with a predicted size, and how it stands to others along options that are monotone. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import JsonValue

from bakehouse.recipe.build import RuntimeBuild


@dataclass(frozen=True)
class Candidate:
    """One build of a search.

    Attributes:
        name: the build's name within the recipe.
        varied: the options that vary, with the candidate's values.
        coarseness: of the monotone ones among them, where the value stands: more makes a smaller model that is farther from its source.
        predicted_bytes: size of the model's files by the checkpoint's shapes.
        looks_at_data: whether making it needs texts.
    """

    name: str
    varied: Mapping[str, JsonValue]
    coarseness: Mapping[str, float]
    predicted_bytes: int
    looks_at_data: bool = False

    @cached_property
    def others(self) -> str:
        """The options that are not monotone, as text that is equal for equal values."""
        return json.dumps({name: value for name, value in self.varied.items() if name not in self.coarseness}, sort_keys=True)

    def text(self) -> str:
        """The options that vary, for a table: "ratio 0.8, awq"."""
        return ", ".join(filter(None, (_option(name, value) for name, value in self.varied.items()))) or "nothing"


def _option(name: str, value: JsonValue) -> str:
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return name + f" {value if isinstance(value, str | int | float) else json.dumps(value)}"


def candidate(name: str, varied: Mapping[str, JsonValue], build: RuntimeBuild, predicted_bytes: int) -> Candidate:
    """The candidate of a build; its runtime's options know what is monotone."""
    ranks: dict[str, Any] = {option: build.coarseness(option, value) for option, value in varied.items()}
    known = {option: rank for option, rank in ranks.items() if rank is not None}
    return Candidate(name, varied, known, predicted_bytes, looks_at_data=build.texts() is not None)


def coarser(one: Candidate, other: Candidate) -> bool:
    """Whether `one` is as coarse as the other in every monotone option, coarser in one, and the same in all others."""
    if one.others != other.others or one.coarseness.keys() != other.coarseness.keys():
        return False
    pairs = [(rank, other.coarseness[option]) for option, rank in one.coarseness.items()]
    return all(mine >= its for mine, its in pairs) and any(mine > its for mine, its in pairs)
