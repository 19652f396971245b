"""Which of many candidates nothing else beats in both size and divergence. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def front(points: Iterable[tuple[str, float, float]]) -> tuple[str, ...]:
    """The names of points (name, size, divergence) that no other beats in both, by size."""
    found: list[tuple[str, float, float]] = []
    for point in sorted(points, key=lambda point: (point[1], point[2])):
        if not found or point[2] < found[-1][2]:
            found.append(point)
    return tuple(name for name, _, _ in found)
