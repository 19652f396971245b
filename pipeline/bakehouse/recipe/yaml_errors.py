"""What is wrong with a file that is not YAML: its bytes, its characters, its brackets."""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

from bakehouse.recipe.locations import Span

LARGEST = 256 * 1024  # bytes; a large recipe has a few thousand
LINE_ENDS = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what YAML 1.1 calls a line break


class Problem(NamedTuple):
    """An error in the text itself."""

    span: Span
    what: str
    help: str


def decoded(raw: bytes) -> tuple[str, list[Problem]]:
    """The bytes as text, and why they cannot be a recipe."""
    start = Span(0, 0, 1)
    if len(raw) > LARGEST:
        return "", [
            Problem(start, f"The file has {len(raw):,} bytes, and a recipe may have at most {LARGEST:,}.", "Check that it is a recipe.")
        ]
    if raw.startswith(b"\xef\xbb\xbf"):
        return "", [Problem(start, "The file starts with a byte order mark.", "Save it as UTF-8 without BOM.")]
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "", [Problem(start, "The file is UTF-16.", "Save it as UTF-8 without BOM.")]
    try:
        return raw.decode(), []
    except UnicodeDecodeError as error:
        text = raw.decode(errors="replace")
        return text, [
            Problem(
                _place(text, len(raw[: error.start].decode())), f"The byte {raw[error.start]:#04x} is not UTF-8.", "Save the file as UTF-8."
            )
        ]


def _place(text: str, index: int) -> Span:
    lines = LINE_ENDS.split(text[:index])
    return Span(len(lines) - 1, len(lines[-1]), len(lines[-1]) + 1)


def parser_problem(error: yaml.YAMLError, text: str) -> Problem:
    """The parser's error as a sentence, and what to do."""
    if isinstance(error, yaml.reader.ReaderError):
        return Problem(
            _place(text, error.position),
            "A control character is not allowed here.",
            "Remove it, or write it as an escape in double quotes.",
        )
    assert isinstance(error, yaml.MarkedYAMLError)
    problem = error.problem or "it ends too early"
    # These are shown where the quote, the bracket or the line begins, not where the parser stopped.
    opened = any(sign in problem for sign in ("end of stream", "expected ',' or", "could not find expected ':'"))
    mark = (opened and error.context_mark) or error.problem_mark
    if (sign := error.problem_mark) and ("got '?'" in problem or text[sign.index : sign.index + 1] == "?"):
        return Problem(Span(sign.line, sign.column, sign.column + 1), *QUESTION)
    other = ("", f"This is not valid YAML: {problem}.", "Compare the line with those around it: quotes, brackets and indentation.")
    _, what, help_ = next((row for row in WORDS if row[0] in problem), other)
    line, column = (mark.line, mark.column) if mark else (0, 0)
    return Problem(Span(line, column, column + 1), what, help_)


# To YAML a `?` alone begins a key, and in {...} and [...] it does so everywhere: "What is it?" ends before it (PyYAML 6, scanner.py).
QUESTION = ("A `?` is not allowed here, because in YAML it begins a key.", 'Put the text that it is part of in quotes, such as "What?".')
# A part of each of the parser's messages, our sentence for it, and what to do.
WORDS = (
    ("found character '\\t'", "YAML cannot be indented with a tab.", "Indent with spaces."),
    ("mapping values are not allowed here", "A `:` is not allowed here.", "Put text that has `: ` in it in quotes; check the indentation."),
    ("could not find expected ':'", "A line without `:` is not allowed here.", "Write `key: value`; check the indentation."),
    ("found unexpected end of stream", "A quote is opened and never closed.", "Close it."),
    (
        "expected <block end>, but found",
        "This does not fit the lines above it.",
        "Check the indentation: fields of one thing start in the same column.",
    ),
    ("expected ',' or '}'", "A `{` is opened here and not closed, or a `,` is missing.", "Separate fields by `, ` and end with `}`."),
    ("expected ',' or ']'", "A `[` is opened here and not closed, or a `,` is missing.", "Separate entries by `, ` and end with `]`."),
    ("expected the node content", "A value is missing here.", "Write one, or leave out the sign before it."),
    ("sequence entries are not allowed here", "A `- ` is not allowed here.", "Start the list on the next line, or write [a, b]."),
    ("expected '<document start>'", "The recipe ended before this line.", "Check the line above: a recipe is one mapping of fields."),
    ("that cannot start any token", "Text cannot start with this character.", "Put the text in quotes."),
)
