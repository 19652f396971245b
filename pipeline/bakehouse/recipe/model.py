"""The base of every part of a recipe: frozen, strict, without unknown fields, and with rules whose errors point at their field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from bakehouse.recipe.types import refusal


class Fault(NamedTuple):
    """A combination that cannot work: its field (below the model), why, and what to do ("" for the field's description)."""

    loc: tuple[str | int, ...]
    reason: str
    remedy: str = ""


class Rule(NamedTuple):
    """A row of a table of rules: the field that an error points at, when the rule is broken, why, and what to do as in Fault."""

    field: str
    broken: Callable[[Any], bool]
    reason: str
    remedy: str = ""


_Kind = TypeVar("_Kind", bound="Model")


class Model(BaseModel):
    """A part of a recipe.

    Class attributes for subclasses:
        rules: combinations of fields that are refused.
        elsewhere: fields that belong to a sibling, with the reason why they do not apply here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)
    rules: ClassVar[tuple[Rule, ...]] = ()
    elsewhere: ClassVar[Mapping[str, str]] = {}

    def remark(self) -> str:
        """What the author of such a part should know, printed by `bakehouse lint`; "" for nothing."""
        return ""

    def faults(self) -> Iterator[Fault]:
        """The combinations of this value's fields that cannot work."""
        for rule in self.rules:
            if rule.broken(self):
                yield Fault((rule.field,), rule.reason, rule.remedy)

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        # A ValidationError raised in a validator keeps its own locations, below this model's.
        errors = [InitErrorDetails(type=refusal(fault.reason, fault.remedy), loc=fault.loc, input=None) for fault in self.faults()]
        if errors:
            raise ValidationError.from_exception_data(type(self).__name__, errors)
        return self

    def named_files(self) -> Mapping[str, str]:
        """The local files that a golden input names, by the field that names each."""
        return {}


def all_of(kind: type[_Kind], golden: Sequence[Model]) -> tuple[_Kind, ...]:
    """The golden inputs of a recipe, which are all of its task's kind."""
    found = tuple(one for one in golden if isinstance(one, kind))
    assert len(found) == len(golden), "the golden inputs are those of another task"
    return found
