"""Which of two models is closer to their source: a paired comparison, window by window. The standard library alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bakehouse.records import Estimated, Fidelity
from bakehouse.resampling import TAIL, resampled


@dataclass(frozen=True)
class Pair:
    """Two models that were measured on the same windows.

    Attributes:
        difference: mean KL divergence of the first minus that of the second, in nats, with its 95 % interval.
        closer: which of them is closer to the source; "tie" if the interval has zero in it.
    """

    difference: Estimated
    closer: Literal["first", "second", "tie"]


def why_not(first: Fidelity, second: Fidelity) -> str:
    """Why the figures of two models do not compare, in words that follow a comma or a colon; "" if they do."""
    if first.version != second.version:
        return f"they were measured by versions {first.version} and {second.version} of the definitions"
    if first.text != second.text:
        return f"they were measured on different text: {first.text}, and {second.text}"
    if first.reference_precision != second.reference_precision:
        return f"their sources were computed in {first.reference_precision} and in {second.reference_precision}"
    if _shape(first) != _shape(second) or not first.windows:
        return "they were measured on different windows of text"
    return ""


def paired(first: Fidelity, second: Fidelity) -> Pair | None:
    """Which of two models is closer, by resampling the same windows of both; None if `why_not` has a reason.

    Both are measured on the same text, so most of what differs between windows is common to both and leaves the difference: its interval
    is much narrower than the models' own.
    """
    if why_not(first, second):
        return None
    positions = [one.positions for one in first.windows]
    gaps = [one.kl_sum - other.kl_sum for one, other in zip(first.windows, second.windows, strict=True)]
    drawn = sorted(_mean(gaps, positions, chosen) for chosen in resampled(len(gaps)))
    value = _mean(gaps, positions, range(len(gaps)))
    found = Estimated(value=value, low=min(value, _quantile(drawn, TAIL)), high=max(value, _quantile(drawn, 1 - TAIL)))
    return Pair(found, "first" if found.high < 0 else "second" if found.low > 0 else "tie")


def _shape(found: Fidelity) -> list[tuple[str, int]]:
    return [(one.set, one.positions) for one in found.windows]


def _mean(gaps: Sequence[float], positions: Sequence[int], chosen: Sequence[int]) -> float:
    return math.fsum(gaps[at] for at in chosen) / sum(positions[at] for at in chosen)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """As numpy has it: between two values, in proportion."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
