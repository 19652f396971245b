"""Writes a build into the text of a recipe. All other bytes stay, so comments and layout do, too."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml
from pydantic import JsonValue

from bakehouse.errors import Failure
from bakehouse.recipe.loader import Loaded

_BY_HAND = "print it with --print, and put it into the recipe yourself"


def as_yaml(name: str, build: Mapping[str, JsonValue], comment: str = "", indent: int = 2) -> str:
    """A build as lines of `builds`, which are indented by `indent`: a line for each of its fields."""
    before = " " * indent
    lines = [f"{before}# {comment}"] if comment else []
    lines.append(f"{before}{name}:")
    lines += [f"{before}  {field}: {_flow(value)}" for field, value in build.items()]
    return "".join(f"{line}\n" for line in lines)


def _flow(value: JsonValue) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def with_build(loaded: Loaded, name: str, build: Mapping[str, JsonValue], comment: str = "") -> str:
    """The recipe's text with one more build, after the others.

    Raises:
        Failure: its builds are not one below the other, or one has this name.
    """
    builds = loaded.root.value["builds"].node
    if name in builds.value:
        raise Failure(f"the recipe has a build {name} with other options", remedy=f"rename or remove it, or {_BY_HAND}")
    keys = [entry.key for entry in builds.value.values()]
    lines = loaded.text.splitlines(keepends=True)
    indent, first = keys[0].column, keys[0].line
    if any(key.column != indent or lines[key.line][:indent].strip() for key in keys) or indent == 0:
        raise Failure("the recipe's builds are not one below the other", remedy=_BY_HAND)
    end = next((at for at in range(first, len(lines)) if re.match(r"[^\s#]", lines[at])), len(lines))
    while end > first and (not lines[end - 1].strip() or re.match(r"#", lines[end - 1])):  # what stands before the next field is about it
        end -= 1
    ends = "\r\n" if "\r\n" in loaded.text else "\n"
    if not lines[end - 1].endswith("\n"):
        lines[end - 1] += ends
    return "".join((*lines[:end], as_yaml(name, build, comment, indent).replace("\n", ends), *lines[end:]))
