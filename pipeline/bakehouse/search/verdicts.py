"""What is settled about the candidates of a search, each with its reason. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bakehouse.recipe.bounds import Bounds, beyond, surely_beyond
from bakehouse.recipe.search import Aim
from bakehouse.search.candidates import Candidate, coarser
from bakehouse.search.results import Result
from bakehouse.text import size_text

SAME_SIZE = 1.005  # models whose sizes differ by less have the same: predictions are as exact
Kind = Literal["within", "beyond", "not needed", "too large", "failed"]


@dataclass(frozen=True)
class Verdict:
    """What became of a candidate: "not needed" where another one settles it; `measured` unless it follows from others."""

    kind: Kind
    reason: str = ""
    measured: bool = True


def of(
    minimize: Aim, bounds: Bounds | None, max_size_bytes: int | None, candidates: Sequence[Candidate], results: Mapping[str, Result]
) -> dict[str, Verdict]:
    """The verdicts that are settled, by name; a candidate without one is open."""
    found: dict[str, Verdict] = {}
    for one in candidates:
        if verdict := _own(one, bounds, max_size_bytes, results.get(one.name, Result())):
            found[one.name] = verdict
    left = [one for one in candidates if one.name not in found]
    beyond_ = [one for one in candidates if one.name in found and found[one.name].kind == "beyond"]
    for one in left:
        if finer := next((other for other in beyond_ if coarser(one, other)), None):
            found[one.name] = Verdict("beyond", f"coarser than {finer.name}, which is beyond the bounds", measured=False)
    left = [one for one in left if one.name not in found]
    fits = [one for one in candidates if found.get(one.name, Verdict("within")).kind == "within"]
    # Predictions are compared with predictions: what is made has a description of the graph besides its weights.
    within = [one for one in candidates if one.name in found and found[one.name].kind == "within"]
    smallest = min(((one.predicted_bytes, one.name) for one in within), default=None)
    for one in left:
        if minimize == "size" and smallest and one.predicted_bytes > smallest[0] * SAME_SIZE:
            found[one.name] = Verdict("not needed", f"larger than {smallest[1]}, which is within the bounds", measured=False)
        if minimize == "kl_mean" and (finer := next((other for other in fits if coarser(one, other)), None)):
            found[one.name] = Verdict("not needed", f"coarser than {finer.name}, which is small enough", measured=False)
    return found


def _own(one: Candidate, bounds: Bounds | None, max_size_bytes: int | None, result: Result) -> Verdict | None:
    """What its own size and measurement say."""
    if result.failed:
        return Verdict("failed", result.failed)
    size = result.size_bytes or one.predicted_bytes
    if max_size_bytes is not None and size > max_size_bytes:
        return Verdict(
            "too large", f"{size_text(size)}, and max_size is {size_text(max_size_bytes)}", measured=result.size_bytes is not None
        )
    if result.confirmed is not None:
        reasons = beyond(bounds, result.confirmed.figures)
        return Verdict("beyond", "; ".join(reasons)) if reasons else Verdict("within")
    if result.screened is not None and (reasons := surely_beyond(bounds, result.screened.figures)):
        return Verdict("beyond", f"{'; '.join(reasons)} at {result.screened.figures.positions} positions")
    return None
