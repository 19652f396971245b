"""What a search measures next, and who wins: with models whose divergence is a formula, in milliseconds."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bakehouse.recipe.bounds import Bounds
from bakehouse.records import Estimated, Fidelity, FidelityFigures, FidelityWindow
from bakehouse.search.candidates import Candidate, coarser
from bakehouse.search.decide import Done, Goal, Next, decide
from bakehouse.search.figures import front
from bakehouse.search.results import Result

HARD = (0.5, 1.0, 1.5, 0.8, 1.2, 0.9, 1.1, 1.0)  # how hard each window is


def rows(kl: float, hard: tuple[float, ...] = HARD) -> tuple[FidelityWindow, ...]:
    return tuple(FidelityWindow(set="prose", positions=100, kl_sum=100 * kl * one, same=80, nll_sum=1.0) for one in hard)


def fidelity(kl: float, spread: float) -> Fidelity:
    exact = Estimated(value=1.0, low=1.0, high=1.0)
    mean = Estimated(value=kl, low=kl * (1 - spread), high=kl * (1 + spread))
    figures = FidelityFigures(positions=800, windows=8, kl_mean=mean, kl_p99=exact, kl_max=3.0, top1=exact, ppl_ratio=exact)
    return Fidelity(
        version=1, text="bakehouse-1", reference_precision="float32", floor_kl=0.0, device="CPU", figures=figures, sets={}, windows=rows(kl)
    )


def model(ratio: float, size: int, awq: bool = False, data: bool = False) -> Candidate:
    varied: dict[str, Any] = {"ratio": ratio, "group_size": size, "awq": awq, "scale_estimation": data}
    ranks = {"ratio": ratio, "group_size": float(size)}
    mb = 45 + 63 * (1 - ratio) + 45 * 32 / (31 + size)
    return Candidate(f"r{ratio}-g{size}{'-awq' * awq}{'-se' * data}", varied, ranks, round(mb * 1e6), looks_at_data=data)


def divergence(one: Candidate) -> float:
    ratio, size = one.coarseness["ratio"], one.coarseness["group_size"]
    return float((0.05 + 0.2 * ratio + 0.001 * (size - 32)) * (0.8 if one.varied["awq"] else 1.0))


GRID = [model(ratio, size, awq) for ratio, size, awq in itertools.product((0.6, 0.7, 0.8, 0.9, 1.0), (32, 64), (False, True))]


def search(
    goal: Goal, candidates: list[Candidate], true: Callable[[Candidate], float] = divergence, seconds: float = 0.0
) -> tuple[Done, list[tuple[str, str]]]:
    """Carry a search out with models whose divergence is known; and the measurements that it took."""
    results: dict[str, Result] = {}
    log: list[tuple[str, str]] = []
    while isinstance(step := decide(goal, candidates, results, seconds * len(results)), Next):
        one = step.candidate
        log.append((one.name, step.action))
        known = results.get(one.name, Result(size_bytes=one.predicted_bytes))
        match step.action:
            case "screen":
                results[one.name] = replace(known, screened=fidelity(true(one), 0.3))
            case "confirm":
                results[one.name] = replace(known, confirmed=fidelity(true(one), 0.05))
            case "bench":
                results[one.name] = replace(known, speed=1e9 / one.predicted_bytes)
        assert len(log) < 100
    return step, log


def test_the_smallest_candidate_within_the_bounds_wins() -> None:
    done, _ = search(Goal("size", Bounds(kl_mean=0.2)), GRID)
    within = [one for one in GRID if divergence(one) * 1.05 <= 0.2]
    assert done.winner == min(within, key=lambda one: one.predicted_bytes)
    assert done.stopped == ""


def test_bisection_needs_fewer_measurements_than_there_are_candidates() -> None:
    chain = [model(number / 64, 32) for number in range(1, 65)]
    done, log = search(Goal("size", Bounds(kl_mean=0.2)), chain)
    assert done.winner is not None and divergence(done.winner) * 1.05 <= 0.2
    assert len({name for name, _ in log}) <= 8


def test_several_at_a_time_find_the_same_in_fewer_rounds() -> None:
    """Three candidates are measured at a time, as on a cluster of three workers; none is waited for before the others are begun."""
    chain = [model(number / 64, 32) for number in range(1, 65)]
    goal, results, busy, rounds = Goal("size", Bounds(kl_mean=0.2), max_candidates=64), dict[str, Result](), dict[str, Next](), 0
    while not isinstance(step := decide(goal, chain, results, 0.0, busy), Done):
        if step is not None:
            assert step.candidate.name not in busy
            busy[step.candidate.name] = step
        if step is None or len(busy) == 3:
            rounds += 1
            for name, one in busy.items():
                known, error = results.get(name, Result(size_bytes=one.candidate.predicted_bytes)), divergence(one.candidate)
                found = {"screened": fidelity(error, 0.3)} if one.action == "screen" else {"confirmed": fidelity(error, 0.05)}
                results[name] = replace(known, **found)
            busy.clear()
    alone, log = search(goal, chain)
    assert step.winner == alone.winner is not None
    assert rounds < len(log)


def test_a_screening_drops_only_what_is_surely_beyond() -> None:
    one = model(1.0, 32)
    surely, _ = search(Goal("size", Bounds(kl_mean=0.1)), [one])
    perhaps, log = search(Goal("size", Bounds(kl_mean=0.2)), [one])
    assert "at 800 positions" in surely.verdicts[one.name].reason
    assert [action for _, action in log] == ["screen", "confirm"]
    assert perhaps.verdicts[one.name].kind == "beyond"


def test_what_is_coarser_than_one_that_is_beyond_is_not_measured() -> None:
    fine, coarse = model(0.8, 64), model(1.0, 64)
    assert coarser(coarse, fine)
    done, log = search(Goal("size", Bounds(kl_mean=0.05)), [fine, model(0.9, 64), coarse])
    assert done.winner is None
    assert not done.verdicts[coarse.name].measured or coarse.name in dict(log)
    assert len({name for name, _ in log}) < 3


def test_candidates_that_need_texts_come_last() -> None:
    with_texts = [model(ratio, 32, data=True) for ratio in (0.8, 1.0)]
    _, log = search(Goal("size", Bounds(kl_mean=0.3)), [*with_texts, *(model(ratio, 32) for ratio in (0.6, 0.8))])
    order = [name for name, action in log if action == "screen"]
    assert all("-se" not in name for name in order[: order.index(next(one for one in order if "-se" in one))])
    assert "-se" in order[-1]


def test_no_more_candidates_are_begun_than_allowed() -> None:
    done, log = search(Goal("size", Bounds(kl_mean=0.2), max_candidates=2), GRID)
    assert len({name for name, _ in log}) == 2
    assert done.stopped == "max_candidates: 2 were made"


def test_no_candidate_is_begun_after_the_time_is_up() -> None:
    done, log = search(Goal("size", Bounds(kl_mean=0.2), max_seconds=25), GRID, seconds=10)
    assert len({name for name, _ in log}) == 3
    assert done.stopped == "max_seconds: 30 s have passed"


def test_the_nearest_candidate_within_a_size_wins() -> None:
    limit = 75_000_000
    done, log = search(Goal("kl_mean", max_size_bytes=limit), GRID)
    fits = [one for one in GRID if one.predicted_bytes <= limit]
    assert done.winner == min(fits, key=divergence)
    assert len({name for name, _ in log}) < len(fits)
    assert all(done.verdicts[one.name].kind == "too large" for one in GRID if one not in fits)


def test_a_candidate_that_came_out_too_large_does_not_win() -> None:
    one = model(1.0, 32)
    done = decide(Goal("kl_mean", max_size_bytes=one.predicted_bytes), [one], {one.name: Result(size_bytes=one.predicted_bytes + 1)})
    assert isinstance(done, Done) and done.winner is None


def test_a_candidate_that_cannot_be_made_does_not_end_the_search() -> None:
    first, second = model(1.0, 32), model(0.8, 32)
    step = decide(Goal("size", Bounds(kl_mean=0.5)), [first, second], {first.name: Result(failed="no memory")})
    assert isinstance(step, Next) and step.candidate == second


def test_the_fastest_candidate_within_the_bounds_wins() -> None:
    done, log = search(Goal("tokens_per_s", Bounds(kl_mean=0.2)), GRID)
    within = [one for one in GRID if divergence(one) * 1.05 <= 0.2]
    assert done.winner == min(within, key=lambda one: one.predicted_bytes)
    assert {name for name, action in log if action == "bench"} == {one.name for one in within}


def test_what_the_text_cannot_tell_apart_is_called_a_tie() -> None:
    plain, awq = model(1.0, 32), model(1.0, 32, awq=True)
    done, _ = search(Goal("size", Bounds(kl_mean=0.4)), [awq, plain], true=lambda one: 0.25)
    assert done.winner is not None
    assert {done.winner.name, *done.tied} == {plain.name, awq.name}


def test_the_front_has_what_nothing_beats_in_size_and_divergence() -> None:
    assert front([("a", 90, 0.25), ("b", 99, 0.16), ("c", 95, 0.30), ("d", 86, 0.31), ("e", 99, 0.2)]) == ("d", "a", "b")
