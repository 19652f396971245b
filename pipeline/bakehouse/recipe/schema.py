"""The recipe's fields for others: a JSON Schema for editors, a table for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import JsonValue
from pydantic.fields import FieldInfo

from bakehouse.recipe.field_paths import members, models, tags, walk
from bakehouse.recipe.model import Model
from bakehouse.recipe.recipe import Recipe

NAME = "recipe.schema.json"  # next to the recipes, which name it in their first line
TABLE = "FIELDS.md"


def json_schema() -> dict[str, object]:
    """JSON Schema 2020-12 of a recipe. It cannot express combinations of options; the loader checks these."""
    schema: dict[str, Any] = _without_null(Recipe.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def text() -> str:
    """The schema as the file that is checked in."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def write(folder: Path) -> tuple[Path, ...]:
    """Write schema and table next to the recipes of `folder`; returns their paths."""
    written = {folder / NAME: text(), folder / TABLE: table()}
    for path, content in written.items():
        path.write_text(content, encoding="utf-8", newline="\n")
    return tuple(written)


def _without_null(schema: Any) -> Any:
    """Remove null, because a file leaves a field out, and titles, because they only repeat the name."""
    if isinstance(schema, list):
        return [_without_null(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _without_null(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    if "default" in made and made["default"] is None:
        del made["default"]
    choices = made.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        left = [choice for choice in choices if choice != {"type": "null"}]
        if len(left) == 1:
            del made["anyOf"]
            return {**left[0], **made}
        made["anyOf"] = left
    return made


def table() -> str:
    """The table as the file that is checked in."""
    head = "# Fields of a recipe\n\nWritten by `bakehouse schema`. A field without a default that is not required may be left out."
    return f"{head}\n\n{field_table()}"


def field_table() -> str:
    """Every field with its type, default and sentence, as Markdown: a table for each part of a recipe, required fields first.

    The parts of a draft are those of a recipe, and have no tables of their own.
    """
    parts: dict[str, list[tuple[type[Model], str, FieldInfo]]] = {}
    for path, model, name, info in walk(Recipe):
        parts.setdefault(path, []).append((model, name, info))
    return "\n".join(_table(path, rows) for path, rows in parts.items() if not path.startswith("drafts.NAME."))


def _table(path: str, rows: list[tuple[type[Model], str, FieldInfo]]) -> str:
    """One part; where it is one of several models, a column shows which of them have the field."""
    kinds = list(dict.fromkeys(model for model, _, _ in rows))
    fields: dict[tuple[str, str], list[tuple[type[Model], FieldInfo]]] = {}
    for model, name, info in sorted(rows, key=lambda row: not row[2].is_required()):
        fields.setdefault((name, info.description or ""), []).append((model, info))
    several = len(kinds) > 1
    lines = [f"`{path}`", ""] if path else []
    lines += (
        ["| field | of | type | default | |", "|---|---|---|---|---|"] if several else ["| field | type | default | |", "|---|---|---|---|"]
    )
    for (name, description), having in fields.items():
        types = " or ".join(dict.fromkeys(part for _, info in having for part in _types(info)))
        of = ", ".join(f"`{tag}`" for model, _ in having for tag in tags(model)) if len(having) < len(kinds) else "all"
        cells = [f"`{name}`", *([of] if several else []), types, _default(having[0][1]), description]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _types(info: FieldInfo) -> list[str]:
    return [name for member in members(info.annotation) for name in _names(member)]


def _names(annotation: Any) -> Iterator[str]:
    if models(annotation):
        yield "mapping"
    elif get_origin(annotation) is Literal:
        yield from (f"`{value}`" for value in get_args(annotation))
    elif get_origin(annotation) is tuple:
        yield f"list of {_plural(get_args(annotation)[0])}"
    elif get_origin(annotation) is dict:
        yield f"mapping of names to {_plural(get_args(annotation)[1])}"
    else:
        yield {str: "text", int: "whole number", float: "number", bool: "`true` or `false`"}[annotation]


def _plural(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        return f"lists of {_plural(get_args(annotation)[0])}"
    if annotation is JsonValue:
        return "values"
    return "mappings" if models(annotation) else "texts"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    default = info.get_default(call_default_factory=True, validated_data={})
    return "" if default in (None, (), {}) else f"`{json.dumps(default)}`".replace('"', "")
