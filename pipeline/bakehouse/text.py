"""Text as people read it: sentences, counts, sizes, times."""

from __future__ import annotations

import math
import re

_LOWER_CASE = ("git", "pip")  # names of programs, which keep their small letter where a sentence starts


def sentence(text: str) -> str:
    """A text of an error as a sentence: a capital letter and a full stop; only its first line, since lists may follow.

    A text that already ends a sentence is left as it is. So is a first word that may be a name: one with a sign, digit or capital in it.
    """
    first, end, rest = text.partition("\n")
    if not first or first.endswith((".", "?", "!", ":", "…")):
        return text
    word = re.match(r"[a-z]+(?=[ ,;:']|$)", first)
    if word and word[0] not in _LOWER_CASE:
        first = first[0].upper() + first[1:]
    return f"{first}.{end}{rest}"


def printable(value: str) -> str:
    """`value` as it may be shown on any terminal, on one line: control characters, line breaks and half surrogates as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)


def printable_lines(text: str) -> str:
    """The same of a text of several lines, which may have tabs."""
    return text if text.isprintable() else "".join(c if c in "\n\t" else printable(c) for c in text)


def count_text(number: int, noun: str) -> str:
    """A number of things for people: 1 build, 2 builds."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def size_text(size_bytes: float) -> str:
    """Bytes for people: 1.23 GB, 45 MB, 6 kB."""
    for unit, factor, digits in (("GB", 1e9, 2), ("MB", 1e6, 0), ("kB", 1e3, 0)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.{digits}f} {unit}"
    return f"{size_bytes:.0f} B"


def figure_text(value: float) -> str:
    """A measured figure with three significant digits: 0.173, 0.00407, 3.6e-08."""
    if 0 < abs(value) < 0.0001:
        return f"{value:.1e}"
    digits = 2 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def clock_text(seconds: float) -> str:
    """Seconds for people: 4.2 s, 1:05, 2:03:04."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
