"""A search as a page: size against divergence with intervals, and the table. Pure, and in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from bakehouse.search.results import Result

_LEFT, _RIGHT, _TOP, _BOTTOM = 60.0, 700.0, 30.0, 350.0  # of the chart, within 800 x 400; names need room on the right


@dataclass(frozen=True)
class _Point:
    name: str
    short: str  # its number: names would cover each other
    words: str
    x: float
    y: float
    low: float
    high: float
    winner: bool


def page(title: str, words: str, winner: str, results: Mapping[str, Result], heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The page; `results` by the candidates' names, of which those that were measured at all positions are in the chart."""
    measured = {
        name: (found.size_bytes / 1e6, found.confirmed.figures.kl_mean)
        for name, found in results.items()
        if found.confirmed and found.size_bytes
    }
    sizes = [size for size, _ in measured.values()] or [0.0]
    left, right, top = min(sizes) - 1, max(sizes) + 1, max((kl.high for _, kl in measured.values()), default=1.0)

    def height(kl: float) -> float:
        return round(_BOTTOM - (_BOTTOM - _TOP) * kl / top, 1)

    points = [
        _Point(
            name,
            name.rpartition("-")[2],
            f"{size:.0f} MB, {kl.value:.3f} ({kl.low:.3f} to {kl.high:.3f})",
            round(_LEFT + (_RIGHT - _LEFT) * (size - left) / (right - left), 1),
            height(kl.value),
            height(kl.low),
            height(kl.high),
            name == winner,
        )
        for name, (size, kl) in measured.items()
    ]
    environment = Environment(
        loader=PackageLoader("bakehouse.search", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.get_template("page.html.jinja")
    return template.render(title=title, words=words, points=points, left=left, right=right, top=top, heads=heads, rows=rows)
