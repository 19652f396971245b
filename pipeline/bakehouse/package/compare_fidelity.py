"""Compare how close packages are to their source: which of two is closer, and a chart of size against KL divergence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from bakehouse import fidelity_pairs
from bakehouse.package.card_fidelity import interval
from bakehouse.records import Estimated
from bakehouse.text import figure_text, size_text

if TYPE_CHECKING:
    from bakehouse.package.compare import Row

WIDTH, HEIGHT = 360.0, 320.0  # of the chart; readable on a telephone without being made smaller
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 12.0, 14.0, 44.0
_LOGARITHMIC = 20.0  # a range beyond this factor has a logarithmic scale
_LEAST = 1e-4  # nats; a logarithm has no zero, and below this nobody sees a difference


@dataclass(frozen=True)
class Two:
    """Two packages: the pair, or why they do not compare."""

    first: str
    second: str
    pair: fidelity_pairs.Pair | None
    why_not: str

    @property
    def closer(self) -> str | None:
        """The name of the closer one, or "tie"; None if they do not compare."""
        if self.pair is None:
            return None
        return {"first": self.first, "second": self.second, "tie": "tie"}[self.pair.closer]

    @property
    def sentence(self) -> str:
        """Which is closer to the source, for people."""
        if self.pair is None:
            return f"{self.first} and {self.second} do not compare: {self.why_not}."
        found = self.pair.difference
        shown = f"mean KL divergence {_signed(found.value)} nats, 95 % interval {_signed(found.low)} to {_signed(found.high)}"
        if self.pair.closer == "tie":
            return f"{self.first} and {self.second}: a tie ({shown})."
        closer, other = (self.first, self.second) if self.pair.closer == "first" else (self.second, self.first)
        if self.pair.closer == "second":
            turned = Estimated(value=-found.value, low=-found.high, high=-found.low)
            shown = f"mean KL divergence {_signed(turned.value)} nats, 95 % interval {_signed(turned.low)} to {_signed(turned.high)}"
        return f"{closer} is closer than {other} ({shown})."


@dataclass(frozen=True)
class Point:
    """A package in the chart: its number in the legend, its place, and the ends of its interval, all in units of the chart."""

    number: int
    name: str
    x: float
    y: float
    low: float
    high: float
    shown: str
    text_y: float  # of its number: above one, below the next, so that neighbours do not cover each other


@dataclass(frozen=True)
class Chart:
    """Points, and the ticks of both axes as place and text."""

    points: tuple[Point, ...]
    sizes: tuple[tuple[float, str], ...]
    divergences: tuple[tuple[float, str], ...]
    logarithmic: bool


def pairs(rows: Sequence[Row]) -> list[Two]:
    """All packages that were measured, two by two."""
    return [_two(one, other) for one, other in combinations([row for row in rows if row.fidelity], 2)]


def _two(one: Row, other: Row) -> Two:
    assert one.fidelity and other.fidelity
    reason = fidelity_pairs.why_not(one.fidelity, other.fidelity)
    if not reason and one.source != other.source:
        reason = "they were made from different sources"
    if not reason and one.own_text != other.own_text:
        reason = "their recipes have different texts"
    return Two(one.name, other.name, None if reason else fidelity_pairs.paired(one.fidelity, other.fidelity), reason)


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+' if value > 0 else ''}{figure_text(abs(value))}"


def chart(rows: Sequence[Row]) -> Chart | None:
    """Size against mean KL divergence; None unless two packages were measured."""
    measured = [(row, row.fidelity.figures.kl_mean) for row in rows if row.fidelity]
    if len(measured) < 2:
        return None
    least = min(max(found.low, _LEAST) for _, found in measured)
    most = max(max(found.high, _LEAST) for _, found in measured)
    logarithmic = most / least > _LOGARITHMIC
    largest = 1.1 * max(row.size_bytes for row, _ in measured) or 1.0
    low, high = (math.floor(math.log10(least)), math.ceil(math.log10(most))) if logarithmic else (0.0, 1.1 * most)

    def x(size: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * size / largest

    def y(value: float) -> float:
        place = math.log10(max(value, _LEAST)) if logarithmic else value
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (place - low) / (high - low)

    order = {id(row): place for place, (row, _) in enumerate(sorted(measured, key=lambda one: one[0].size_bytes))}
    points = tuple(
        Point(
            at,
            row.name,
            x(row.size_bytes),
            y(found.value),
            y(found.low),
            y(found.high),
            f"{figure_text(found.value)} ({interval(found)})",
            y(found.low) + 15 if order[id(row)] % 2 else y(found.high) - 7,
        )
        for at, (row, found) in enumerate(measured, 1)
    )
    ticks = [10.0**power for power in _every(int(low), int(high))] if logarithmic else list(_steps(high))
    sizes = tuple((x(size), size_text(size)) for size in _steps(largest, 3))
    return Chart(
        points, sizes, tuple((y(tick), f"{'≤ ' if logarithmic and tick == _LEAST else ''}{tick:g}") for tick in ticks), logarithmic
    )


def _every(low: int, high: int) -> Iterable[int]:
    return range(low, high + 1, max(1, math.ceil((high - low) / 6)))


def _steps(most: float, about: int = 5) -> Iterator[float]:
    """Round numbers from zero to this one."""
    raw = most / about
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw)
    for at in range(int(most / step) + 1):
        yield at * step
