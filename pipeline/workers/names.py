"""A few names out of many, for a sentence: the first of them, and how many more there are."""

from __future__ import annotations

from collections.abc import Sequence

MOST = 5


def some(names: Sequence[str], most: int = MOST) -> str:
    """The names joined by commas, only the first `most` of them: "a, b and 3 more"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
