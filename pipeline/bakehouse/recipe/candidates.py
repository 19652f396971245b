"""The builds that a search of a recipe comes to, with what is wrong with the options that it varies."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import ErrorDetails

from bakehouse.recipe.field_paths import place
from bakehouse.recipe.kinds import BuildOptions, runtimes
from bakehouse.recipe.search import Expanded, Search, expand, nearest
from bakehouse.recipe.types import quoted


@cache
def _any_build() -> TypeAdapter[BuildOptions]:
    return TypeAdapter(BuildOptions)


def candidates(search: Search) -> Expanded[Any]:
    """The builds of a search whose runtime exists, and how many combinations are left out."""
    return expand(search, runtimes()[search.runtime], _any_build().validate_json, _explained)


def _explained(details: ErrorDetails) -> tuple[str, str]:
    """What is wrong with an option of a candidate, and what to do."""
    at, context = place(details["loc"], BuildOptions), details.get("ctx", {})
    match details["type"]:
        case "refused":
            return context["reason"], context["remedy"] or at.description
        case "extra_forbidden":
            reason = at.owner.elsewhere.get(at.field)
            known = [name for name in at.owner.model_fields if name != "runtime"]
            return (
                (reason, "Leave it out.") if reason else (f"{quoted(at.field)} is not an option of these builds.", nearest(at.field, known))
            )
        case "missing":
            return f"{quoted(at.field)} is missing.", f"Add it to base. {at.description}"
        case _:
            return f"{quoted(str(details['input']))} cannot be: {details['msg']}", at.description
