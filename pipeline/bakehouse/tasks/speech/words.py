"""The words of a text as they are compared, and what share of them is another. Pure."""

from __future__ import annotations

import re


def words(text: str) -> str:
    """A text as words are compared: small letters, without punctuation."""
    return " ".join(re.sub(r"[^\w\s']|_", " ", text.lower()).split())


def word_error(text: str, expected: str) -> float:
    """The share of the words of `expected` that were replaced, left out or added; 1 for words where none are expected."""
    if not words(expected):
        return 1.0 if words(text) else 0.0
    import jiwer  # one of the build tools

    return float(jiwer.wer(words(expected), words(text)))
