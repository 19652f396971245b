"""A few names out of many, for a sentence: the first of them, and how many more there are."""

from __future__ import annotations

from collections.abc import Sequence

_MOST = 5


def some(names: Sequence[str], most: int = _MOST) -> str:
    """The names joined by commas, only the first `most` of them: "a, b and 3 more"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def listed(title: str, names: Sequence[str], most: int) -> list[str]:
    """One line for each of the first `most` names, "title: a", and one for how many more there are."""
    lines = [f"{title}: {name}" for name in names[:most]]
    return [*lines, f"{title}: {len(names) - most} more"] if len(names) > most else lines
