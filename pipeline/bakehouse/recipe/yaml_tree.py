"""YAML text as a tree in which every value has its place, without the parts of YAML that surprise. `loader` reads the tree."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import yaml

from bakehouse.recipe.locations import Span
from bakehouse.recipe.types import quoted
from bakehouse.recipe.yaml_errors import LINE_ENDS, QUESTION, Problem, decoded, parser_problem

DEEPEST = 24  # levels; a recipe has at most seven


@dataclass
class Node:
    """A value and its place. `bad` if an error was reported for it, so that no other is."""

    span: Span
    value: Any = None  # a str, int, float, bool or None; dict[str, Entry]; list[Node]
    text: str = ""  # a scalar as written
    block: bool = False  # a mapping or list over several lines, for which errors point at its key
    bad: bool = False

    @property
    def data(self) -> Any:
        """The value without places, JSON values only."""
        if isinstance(self.value, dict):
            return {key: entry.node.data for key, entry in self.value.items()}
        return [node.data for node in self.value] if isinstance(self.value, list) else self.value


class Entry(NamedTuple):
    """A key of a mapping, and its value."""

    key: Span
    node: Node


class _Key(NamedTuple):
    name: str | None
    span: Span
    bad: bool


@dataclass
class _Open:
    """A mapping or a list whose end has not been read yet."""

    node: Node
    reported: int  # number of problems when it began
    key: _Key | None = None  # the key that waits for its value


def read(raw: bytes) -> tuple[Node | None, str, list[Problem]]:
    """The tree (None if the text has none), the text, and everything that is wrong with it."""
    text, problems = decoded(raw)
    if problems:
        return None, text, problems
    try:
        tree = _parsed(text)
    except yaml.YAMLError as error:
        return None, text, [parser_problem(error, text)]
    except _TooDeep as stop:
        return None, text, [stop.problem]
    return tree.root, text, tree.problems


def _parsed(text: str) -> _Builder:
    """The tree from libyaml, which is ten times faster, if it takes the text; else from PyYAML's own parser, whose errors we know.

    The two agree on a text without tabs, except for a `?` within a word of a flow list, which only libyaml takes, as YAML 1.2 does.
    """
    fast = getattr(yaml, "CSafeLoader", None)  # missing in PyYAML built without libyaml
    if fast is not None and "\t" not in text:
        with suppress(yaml.YAMLError):
            return _Builder(text).filled(fast)
    return _Builder(text).filled(yaml.SafeLoader)


class _TooDeep(Exception):
    def __init__(self, span: Span) -> None:
        super().__init__()
        self.problem = Problem(span, f"This is nested more than {DEEPEST} levels deep.", "A recipe has at most seven.")


class _Builder:
    """Makes the tree from the parser's events, one after the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = LINE_ENDS.split(text)
        self.root: Node | None = None
        self.documents = 0
        self.open: list[_Open] = []
        self.problems: list[Problem] = []

    def filled(self, loader: Any) -> _Builder:
        """Take every event of the text, as `loader` reads it; returns itself."""
        for event in yaml.parse(self.text, Loader=loader):
            self.take(event)
        return self

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents == 2:
                self.refuse(self.span(event), "A second document starts here.", "Write one recipe in a file.")
                self.root = None  # it may have ended too early
        elif self.documents != 1:
            return  # the stream's start and end, and what follows a second document's start
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(self.open) == DEEPEST:
                raise _TooDeep(self.span(event))
            node = Node(self.span(event), {} if isinstance(event, yaml.MappingStartEvent) else [], block=not event.flow_style)
            reported = len(self.problems)
            self.open.append(_Open(self.checked(event, node), reported))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            done = self.open.pop()
            self.add(done.node, event, done.reported)
        elif isinstance(event, yaml.ScalarEvent):
            self.add(self.checked(event, Node(self.span(event), event.value, event.value)), event)
        elif isinstance(event, yaml.AliasEvent):
            self.refuse(self.span(event), "Aliases are not allowed in a recipe.", "Write the value out where it is needed.")
            self.add(Node(self.span(event), bad=True), event)

    def add(self, node: Node, event: Any, reported: int = 0) -> None:
        """Put a finished node in its place: the root, an entry of a list, a key or a value."""
        if not self.open:
            self.root = self.valued(node, event, "The file")
            return
        parent = self.open[-1]
        if isinstance(parent.node.value, list):
            parent.node.value.append(self.valued(node, event, "This entry"))
        elif parent.key is None:
            parent.key = self.key(parent.node, node, event, reported)
        else:
            key, parent.key = parent.key, None
            value = self.valued(node, event, quoted(key.name or ""), key.span) if not key.bad else node
            if key.name is not None:
                value.bad |= key.bad
                parent.node.value[key.name] = Entry(key.span, value)

    def key(self, mapping: Node, node: Node, event: Any, reported: int) -> _Key:
        """A key; without a name if its value cannot be judged, bad if an error was reported."""
        if not isinstance(event, yaml.ScalarEvent):
            mapping.bad = True
            if not isinstance(event, yaml.AliasEvent):
                del self.problems[reported:]  # one error for everything in it
                self.refuse(node.span, "A key must be one word.", "Write the value itself: a recipe has no templates such as `{{ x }}`.")
            return _Key(None, node.span, True)
        name, bad = str(event.value), node.bad
        if name in mapping.value:
            self.refuse(node.span, f"{quoted(name)} is given twice.", f"Keep one; the first is on line {mapping.value[name].key.line + 1}.")
            return _Key(None, node.span, True)
        if not event.style and name == "<<":
            self.refuse(node.span, "Merge keys are not allowed in a recipe.", "Write the fields out where they are needed.")
            bad = True
        elif not event.style and not name:
            mapping.bad = True  # only a `?` makes an empty key, and it was meant as text
            before = self.lines[node.span.line][: node.span.column].rstrip()
            self.refuse(Span(node.span.line, len(before) - 1, len(before)) if before.endswith("?") else node.span, *QUESTION)
            return _Key(None, node.span, True)
        elif not event.style and (kind := _reads_as(name)):
            self.refuse(node.span, f"The key {quoted(name)} means {kind} in YAML.", f'Put it in quotes, "{name}", or choose another.')
            bad = True
        return _Key(name, node.span, bad)

    def valued(self, node: Node, event: Any, what: str, span: Span | None = None) -> Node:
        """A node with its plain scalar read: numbers, true and false; other special meanings of YAML 1.1 are refused."""
        if node.bad or not isinstance(event, yaml.ScalarEvent):
            return node
        text: str = event.value
        if re.search("[\ud800-\udfff]", text):
            self.refuse(node.span, "The text has half a surrogate pair.", "Write the character itself, or `\\U` and eight digits.")
            return Node(node.span, text.encode(errors="replace").decode(), bad=True)
        if event.style:
            return node
        kind = _reads_as(text)
        if kind == "nothing":
            self.refuse(span or node.span, f"{what} has no value.", "Write one, or leave it out." if span else "Write something here.")
            return Node(span or node.span, None, bad=True)
        value = _plain(text) if kind else text
        if kind and value is None:
            what = f"{quoted(text)} means {kind} in YAML 1.1, and text in other versions."
            self.refuse(node.span, what, f'{_INSTEAD[kind]} If text is meant, put it in quotes: "{text}".'.lstrip())
            return Node(node.span, text, text, bad=True)
        return Node(node.span, value, text)

    def checked(self, event: Any, node: Node) -> Node:
        """The node, bad if it has an anchor or a tag."""
        sign = self.span(event)
        if event.anchor is not None:
            node.bad = True
            anchor = quoted(f"&{event.anchor}")
            self.refuse(sign, f"Anchors such as {anchor} are not allowed in a recipe.", "Write the value out where it is needed.")
        if event.tag is not None:
            node.bad = True
            tag = quoted(event.tag.replace("tag:yaml.org,2002:", "!!"))
            self.refuse(sign, f"Tags such as {tag} are not allowed in a recipe.", "Leave it out: the schema has the types of fields.")
        return node

    def refuse(self, span: Span, what: str, help_: str) -> None:
        self.problems.append(Problem(span, what, help_))

    def span(self, event: Any) -> Span:
        start, end = event.start_mark, event.end_mark
        last = end.column if end.line == start.line else len(self.lines[start.line]) if start.line < len(self.lines) else start.column
        return Span(start.line, start.column, max(last, start.column + 1))


@cache
def _resolver() -> Any:
    return yaml.resolver.Resolver()


def _reads_as(text: str) -> str:
    """What a plain scalar means in YAML 1.1, if not text."""
    tag = _resolver().resolve(yaml.ScalarNode, text, (True, False))
    kinds = {
        "null": "nothing",
        "bool": "true or false",
        "int": "a number",
        "float": "a number",
        "timestamp": "a date",
        "value": "a sign",
        "merge": "a sign",
    }
    return kinds.get(tag.removeprefix("tag:yaml.org,2002:"), "")


_INSTEAD = {
    "true or false": "Write true or false.",
    "a number": "Write a plain decimal number.",
    "a date": "A recipe has no dates.",
    "a sign": "",
}


def _plain(text: str) -> bool | int | float | None:
    """The value of a scalar that every version of YAML reads in the same way, or None."""
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", text):
        return int(text)
    if re.fullmatch(r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?", text):
        value = float(text)
        return value if math.isfinite(value) else None
    return None
