"""How an error in a file is shown: `file:line:column`, the source line, a caret, help."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from bakehouse.errors import Failure

_WINDOW = 110  # columns of a source line that are shown around the caret


@dataclass(frozen=True, order=True)
class Span:
    """A place in a text: line and column from 0, and the column after its last character (or the first line's end)."""

    line: int
    column: int
    end: int


@dataclass(frozen=True)
class Diagnostic:
    """One error in one file.

    Attributes:
        path: the file, as the user named it; shown with forward slashes.
        span: what the caret underlines.
        what: what is wrong.
        help: what to do, or what the field is for.
        source: the line that `span` is on.
    """

    path: Path
    span: Span
    what: str
    help: str
    source: str

    def __str__(self) -> str:
        number = str(self.span.line + 1)
        gutter = " " * len(number)
        lines = [f"{self.path.as_posix()}:{self.span.line + 1}:{self.span.column + 1}: {self.what}"]
        if self.source.strip():
            shown, caret = _underlined(self.source, self.span)
            lines += [f"  {number} | {shown}", f"  {gutter} | {caret}"]
        if self.help:
            lines.append(f"help: {self.help}")
        return "\n".join(lines)


class Errors(Failure):
    """All errors of all files, in order of file, line and column."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda d: (d.path.as_posix(), d.span)))
        files = len({diagnostic.path for diagnostic in diagnostics})
        count = len(diagnostics)
        super().__init__(f"{count} error{'s' * (count != 1)} in {files} recipe{'s' * (files != 1)}")

    def __str__(self) -> str:
        return "\n\n".join((*map(str, self.diagnostics), self.what))


def _underlined(source: str, span: Span) -> tuple[str, str]:
    start = 0 if span.end <= _WINDOW else max(0, span.column - _WINDOW // 2)
    shown = source[start : start + _WINDOW]
    before, under = source[start : span.column], source[span.column : min(span.end, start + _WINDOW)]
    return "".join(map(_safe, shown)), " " * _width(before) + "^" * max(1, _width(under))


def _safe(character: str) -> str:
    return character if character.isprintable() else " " if character == "\t" else "\N{REPLACEMENT CHARACTER}"


def _width(text: str) -> int:
    """Columns that `text` takes on a terminal: wide characters take two, combining ones none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
