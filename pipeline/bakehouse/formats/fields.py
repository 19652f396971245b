"""Reads fields of what others wrote, such as a JSON object: each may be absent, null, or of another type than it should be."""

from __future__ import annotations

from collections.abc import Mapping

Fields = Mapping[str, object]


def text(of: Fields, name: str) -> str:
    """A text; "" where the field is absent or something else."""
    value = of.get(name)
    return value if isinstance(value, str) else ""


def integer(of: Fields, name: str) -> int | None:
    """An integer; None where the field is absent or something else."""
    value = of.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(of: Fields, name: str) -> float | None:
    """A number; None where the field is absent or something else."""
    value = of.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def first(of: Fields, *names: str) -> int | None:
    """The first of these fields that is an integer."""
    return next((size for name in names if (size := integer(of, name)) is not None), None)


def nested(of: Fields, name: str) -> Fields:
    """An object; an empty one where the field is absent or something else."""
    value = of.get(name)
    return value if isinstance(value, Mapping) else {}


def objects(of: Fields, name: str) -> tuple[Fields, ...]:
    """The objects in a list; none where the field is absent or something else."""
    value = of.get(name)
    return tuple(one for one in value if isinstance(one, Mapping)) if isinstance(value, list) else ()


def texts(of: Fields, name: str) -> tuple[str, ...]:
    """The texts in a list; none where the field is absent or something else."""
    value = of.get(name)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
