"""Explains a validation error: where to look, what is wrong, what to do. `locations` shows it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic_core import ErrorDetails

from bakehouse.recipe.field_paths import Place, members, place, tags
from bakehouse.recipe.locations import Span
from bakehouse.recipe.recipe import Recipe
from bakehouse.recipe.types import quoted
from bakehouse.recipe.yaml_tree import Entry, Node

_LIMITS = {
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "less than {lt:g}",
}
_WANTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list",
    "dict_type": "a mapping of names",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
}


class Target(NamedTuple):
    """What an error is about: its value, the value's key (None in a list and at the top), and whether it is already reported."""

    node: Node
    key: Span | None
    reported: bool

    @property
    def span(self) -> Span:
        """The value; if it has several lines, its key or its first entry."""
        if self.key is not None and (self.node.block or self.node.value is None):
            return self.key
        first = next(iter(self.node.value.values()), None) if self.node.block and isinstance(self.node.value, dict) else None
        return first.key if first else self.node.span


def explain(details: ErrorDetails, root: Node) -> tuple[Span, str, str] | None:
    """Where, what and help for an error of a Recipe whose tree is `root`; None if the tree's own errors already report it."""
    at = place(details["loc"], Recipe)
    kind, context = details["type"], details.get("ctx", {})
    if kind in ("missing", "union_tag_not_found"):
        return _missing(at if kind == "missing" else _discriminator(at, context), root)
    if kind == "union_tag_invalid":
        at = _discriminator(at, context)
    target = find(at, root)
    if target.reported or (kind == "too_short" and target.node.value):  # pydantic counts only the valid entries
        return None
    if kind == "extra_forbidden":
        return target.key or target.span, *_unknown(at)
    if kind == "refused":
        return (target.key or target.span) if at.is_key else target.span, context["reason"], context["remedy"] or at.description
    return target.span, *_mistaken(kind, context, at, target.node, details["msg"])


def find(at: Place, root: Node) -> Target:
    """Walk down the tree to a place, as far as the tree goes."""
    target = Target(root, None, False)
    for item in at.path:
        node = target.node
        reported = target.reported or (node.bad and node is not root)
        inside: Entry | Node | None = None
        if isinstance(node.value, dict):
            inside = node.value.get(str(item))
        elif isinstance(node.value, list) and isinstance(item, int):
            inside = node.value[item]
        if inside is None:
            return target._replace(reported=reported)
        target = Target(inside, None, reported) if isinstance(inside, Node) else Target(inside.node, inside.key, reported)
    return target._replace(reported=target.reported or target.node.bad)


def _discriminator(at: Place, context: dict[str, Any]) -> Place:
    """The field of a union that distinguishes its members."""
    field = context["discriminator"].strip("'")
    return Place((*at.path, field), at.models[0], field, at.models)


def _missing(at: Place, root: Node) -> tuple[Span, str, str] | None:
    parent = find(Place(at.path[:-1], at.owner, at.field, ()), root)
    if parent.reported or (isinstance(parent.node.value, dict) and at.field in parent.node.value):
        return None
    parent_name = at.path[-2] if len(at.path) > 1 else "the recipe"
    owner = "this entry" if isinstance(parent_name, int) else parent_name if len(at.path) == 1 else quoted(parent_name)
    what = f"{quoted(at.field)} is missing from {owner}"
    allowed = [tag for model in at.models for tag in tags(model)]
    return parent.key or parent.span, what, _one_of(allowed) if allowed else at.description


def _unknown(at: Place) -> tuple[str, str]:
    if reason := at.owner.elsewhere.get(at.field):
        return reason, "Leave it out."
    known = list(at.owner.model_fields)
    where = (
        f"{quoted(str(at.path[-2]))}"
        if len(at.path) > 1 and isinstance(at.path[-2], str)
        else "a recipe"
        if len(at.path) == 1
        else "an entry"
    )
    near = get_close_matches(at.field, known, 1, cutoff=0.55)
    help_ = (
        f"Did you mean `{near[0]}`? {at.owner.model_fields[near[0]].description}" if near else f"Its fields are {_listed(known, 'and')}."
    )
    return f"{quoted(at.field)} is not a field of {where}", help_


def _mistaken(kind: str, context: dict[str, object], at: Place, node: Node, message: str) -> tuple[str, str]:
    """A value of the wrong kind, out of bounds or unknown."""
    value = node.value
    entry = "every entry of " if at.path and isinstance(at.path[-1], int) else ""
    subject = quoted(at.field) if at.field else "a recipe"
    if kind in _WANTED:
        wanted = _WANTED["model_type"] if kind == "dict_type" and at.models else _WANTED[kind]
        return f"{entry}{subject} must be {wanted}, not {_kind(node)}", f"{_instead(kind, node)}{at.description}"
    if kind in _LIMITS:
        return f"{subject} must be {_LIMITS[kind].format(**context)}, not {node.text}", at.description
    if kind in ("literal_error", "union_tag_invalid"):
        literals = list(_literals(at))
        allowed = [str(literal) for literal in literals]
        alike = type(value) is type(literals[0])
        near = get_close_matches(str(value), allowed, 1) if alike else []
        shown = quoted(str(value)) if alike else _kind(node)
        return f"{subject} cannot be {shown}", f"Did you mean `{near[0]}`? {_one_of(allowed)}" if near else _one_of(allowed)
    if kind == "too_short":
        return f"{subject} needs at least one entry", at.description
    return f"{subject}: {message}", at.description


def _literals(at: Place) -> Iterable[Any]:
    if at.models:
        return [tag for model in at.models for tag in tags(model)]
    annotation = at.info.annotation if at.info else None
    here = members(annotation)
    entries = [part for member in here if get_origin(member) is tuple for part in members(get_args(member)[0])]
    return [value for member in (*here, *entries) if get_origin(member) is Literal for value in get_args(member)]


def _kind(node: Node) -> str:
    match node.value:
        case None:
            return "nothing"
        case bool():
            return quoted(node.text)
        case int() | float():
            return f"the number {node.text}"
        case str():
            return f"the text {quoted(node.value)}"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _instead(kind: str, node: Node) -> str:
    """What to write, if the value shows it."""
    shown = quoted(node.text)[1:-1]
    if kind == "string_type" and shown:
        return f'If text is meant, put it in quotes, "{shown}". '
    if kind == "tuple_type" and shown:
        return f"Write a list of one, [{shown}]. "
    return ""


def _one_of(values: list[str]) -> str:
    return f"Write {_listed(values, 'or')}."


def _listed(values: list[str], last: str) -> str:
    shown = [f"`{value}`" for value in values]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {last} {shown[-1]}"
