"""What a search does next, given what is known so far: measure a candidate, at some positions or at all, or stop with a winner. Pure.

A candidate is screened at a few positions, and dropped only where even the near end of its interval is beyond the bounds. What passes is
measured at all positions, and is within the bounds if the far end of every interval is. A candidate that is beyond takes all coarser ones
with it, and one that is within takes all larger ones: so the next is the one that settles the most either way, which along one chain
is bisection. Candidates that need texts come after all others.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bakehouse import fidelity_pairs
from bakehouse.recipe.bounds import Bounds
from bakehouse.recipe.search import Aim
from bakehouse.records import Fidelity
from bakehouse.search import verdicts
from bakehouse.search.candidates import Candidate, coarser
from bakehouse.search.results import Result
from bakehouse.search.verdicts import SAME_SIZE, Verdict

_SAME_SPEED = 0.03
_SPEEDS = ("first_token", "tokens_per_s")

Action = Literal["screen", "confirm", "bench"]


@dataclass(frozen=True)
class Goal:
    """What is wanted of the winner, and what may be spent on it."""

    minimize: Aim
    bounds: Bounds | None = None
    max_size_bytes: int | None = None
    max_candidates: int = 16
    max_seconds: float | None = None


@dataclass(frozen=True)
class Next:
    """What to measure now: at POSITIONS ("screen"), at all ("confirm"), or its speed ("bench")."""

    candidate: Candidate
    action: Action


@dataclass(frozen=True)
class Done:
    """The end of a search.

    Attributes:
        tied: the names of candidates that the measurement cannot tell from the winner.
        verdicts: what became of each candidate, by name.
        stopped: which limit ended it before all was known; "" for none.
    """

    winner: Candidate | None
    tied: tuple[str, ...] = ()
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    stopped: str = ""


def decide(
    goal: Goal, candidates: Sequence[Candidate], results: Mapping[str, Result], seconds: float = 0.0, busy: Collection[str] = ()
) -> Next | Done | None:
    """The next measurement, or the end. The same results give the same decision, so a search that was killed goes on where it was.

    Args:
        results: of the candidates that were begun, by name.
        seconds: how long the search has run.
        busy: the names of candidates that are being measured, on a cluster; None is returned if one of them has to be waited for.
    """
    judged = verdicts.of(goal.minimize, goal.bounds, goal.max_size_bytes, candidates, results)
    still = [one for one in candidates if one.name not in judged and one.name not in busy]
    begun = sorted((one for one in still if one.name in results), key=_by_size)
    fresh = [one for one in still if one.name not in results]
    stopped = _limit(goal, len({*results, *busy}), seconds) if fresh else ""
    nearest = goal.minimize == "kl_mean"
    if nearest and not (fresh and not stopped):
        begun, worse = _contenders(begun, results)
        judged |= worse
    if begun and not (nearest and fresh and not stopped):
        return Next(begun[0], "confirm")
    if fresh and not stopped:
        return Next(_most_settling(goal, fresh, [one for one in candidates if one.name in busy]), "screen")
    if busy:
        return None
    within = [one for one in candidates if one.name in judged and judged[one.name].kind == "within"]
    if goal.minimize in _SPEEDS and (unknown := [one for one in within if results[one.name].speed is None]):
        return Next(unknown[0], "bench")
    best = _best(goal, within, results)
    return Done(best[0] if best else None, tuple(one.name for one in best[1:]), judged, stopped)


def _limit(goal: Goal, begun: int, seconds: float) -> str:
    if begun >= goal.max_candidates:
        return f"max_candidates: {goal.max_candidates} were made"
    if goal.max_seconds is not None and seconds >= goal.max_seconds:
        return f"max_seconds: {seconds:.0f} s have passed"
    return ""


def _most_settling(goal: Goal, fresh: Sequence[Candidate], busy: Sequence[Candidate]) -> Candidate:
    """The candidate that settles the most of what is open, whichever way it turns out; of equals the smallest.

    What is `busy` will settle one side or the other, so the candidate comes from the side with the most. For the least divergence within
    a size the largest comes first: it is likely the best.
    """
    pool = [one for one in fresh if not one.looks_at_data] or list(fresh)
    if goal.minimize == "kl_mean":
        return max(pool, key=_by_size)
    sides: dict[tuple[bool, ...], list[Candidate]] = {}
    for one in pool:
        sides.setdefault(tuple(_by_size(one) < _by_size(other) for other in busy), []).append(one)
    pool = max(sides.values(), key=len)

    def settles(one: Candidate) -> int:
        beyond = sum(coarser(other, one) for other in pool)
        return min(beyond, sum(other.predicted_bytes > one.predicted_bytes * SAME_SIZE for other in pool))

    most = max(map(settles, pool))
    return min((one for one in pool if settles(one) == most), key=_by_size)


def _by_size(one: Candidate) -> tuple[int, str]:
    return one.predicted_bytes, one.name


def _contenders(screened: Sequence[Candidate], results: Mapping[str, Result]) -> tuple[list[Candidate], dict[str, Verdict]]:
    """The screened candidates that may still have the least divergence, the likeliest first; and why the others cannot."""
    known = {name: result.screened for name, result in results.items() if result.screened is not None}
    done = [name for name in known if results[name].confirmed is not None]
    found: list[Candidate] = []
    worse: dict[str, Verdict] = {}
    for one in screened:
        mine = known[one.name]
        if nearer := next((name for name in done if _closer(mine, known[name]) == "second"), None):
            worse[one.name] = Verdict("not needed", f"farther from the source than {nearer} at {mine.figures.positions} positions")
        else:
            found.append(one)
    return sorted(found, key=lambda one: (known[one.name].figures.kl_mean.value, one.name)), worse


def _best(goal: Goal, within: Sequence[Candidate], results: Mapping[str, Result]) -> list[Candidate]:
    """Those that nothing beats, the one to prefer first: without texts, then the smaller, then the nearer one."""
    if not within:
        return []

    def size(one: Candidate) -> int:
        return results[one.name].size_bytes or one.predicted_bytes

    def divergence(one: Candidate) -> float:
        measured = results[one.name].confirmed
        return measured.figures.kl_mean.value if measured else math.inf

    if goal.minimize in _SPEEDS:
        equal = _fastest(goal, within, results)
    else:
        smallest = min(map(size, within))
        pool = [one for one in within if goal.minimize == "kl_mean" or size(one) <= smallest * SAME_SIZE]
        nearest = min(pool, key=lambda one: (divergence(one), one.name))
        equal = [one for one in pool if one is nearest or _tied(one, nearest, results)]
    return sorted(equal, key=lambda one: (one.looks_at_data, size(one), divergence(one), one.name))


def _fastest(goal: Goal, within: Sequence[Candidate], results: Mapping[str, Result]) -> list[Candidate]:
    speeds = {one.name: results[one.name].speed or 0.0 for one in within}
    if goal.minimize == "tokens_per_s":
        return [one for one in within if speeds[one.name] >= max(speeds.values()) * (1 - _SAME_SPEED)]
    return [one for one in within if speeds[one.name] <= min(speeds.values()) * (1 + _SAME_SPEED)]


def _tied(one: Candidate, other: Candidate, results: Mapping[str, Result]) -> bool:
    mine, its = results[one.name].confirmed, results[other.name].confirmed
    return mine is not None and its is not None and _closer(mine, its) == "tie"


def _closer(one: Fidelity, other: Fidelity) -> str:
    """Which of two candidates of one search is closer to the source; they have one source and one text."""
    pair = fidelity_pairs.paired(one, other)
    return pair.closer if pair else "tie"
