"""Text from outside in Markdown and in Python, escaped so that it stays text: for cards, release notes and answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_JOINER = "\N{ZERO WIDTH JOINER}"


def text(value: object) -> str:
    """Any text on one line, escaped so that nothing in it works as Markdown, HTML or a table's border."""
    lines = [line.strip() for line in str(value).strip().splitlines()]
    return "<br>".join(re.sub(r"([\\`*_\[\]<>&|~#:$!])|(?<=www)\.", lambda found: "\\" + found[0], _printable(line)) for line in lines)


def paragraph(value: object) -> str:
    """Any text as a paragraph: like `text`, and nothing at its beginning makes a list or a rule of it."""
    return re.sub(r"^(\d+(?=[.)])|(?=[-+=]))", lambda found: f"{found[0]}\\", text(value))


def code(value: object) -> str:
    """Any text as inline code, also within a table."""
    shown = _printable(" ".join(str(value).split())).replace("|", "\\|")
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") or not shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def block(value: str, language: str = "") -> str:
    """Any text as a block of code; the fence is longer than any in the text."""
    lines = "\n".join(_printable(line) for line in value.splitlines())
    fence = "`" * max(3, _longest_run(lines) + 1)
    return f"{fence}{language}\n{lines}\n{fence}"


def string(value: str) -> str:
    """Any text as a Python string."""
    shown = repr(value)
    return f'"{shown[1:-1]}"' if shown.startswith("'") and '"' not in shown else shown


def arguments(options: Mapping[str, object]) -> str:
    """Options as further arguments of a Python call: `, NAME="value"`."""
    return "".join(f", {name}={_literal(value)}" for name, value in options.items())


def dictionary(options: Mapping[str, object]) -> str:
    """Options as a Python dictionary."""
    entries = [f"{string(name)}: {_literal(value)}" for name, value in options.items()]
    return "{" + ", ".join(entries) + "}"


def _literal(value: Any) -> str:
    return string(value) if isinstance(value, str) else repr(value)


def pin(version: str) -> str:
    """A version as pip takes it after a name; "" if it is unknown or if more than one is known."""
    return f"=={version.partition('+')[0]}" if version and "," not in version else ""


def messages(chat: Iterable[tuple[str, str]]) -> str:
    """A chat as a Python list."""
    turns = ['{"role": ' + string(role) + ', "content": ' + string(content) + "}" for role, content in chat]
    return f"[{', '.join(turns)}]"


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() or c == _JOINER else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)


def _longest_run(value: str) -> int:
    return max((len(run) for run in re.findall("`+", value)), default=0)
