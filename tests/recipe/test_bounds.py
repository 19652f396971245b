"""A build is within its bounds if the far end of every interval is."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot
from pydantic import ValidationError

from bakehouse.recipe.bounds import Bounds, below_floor, beyond, surely_beyond
from bakehouse.records import Estimated, FidelityFigures


def estimated(value: float, spread: float) -> Estimated:
    return Estimated(value=value, low=value - spread, high=value + spread)


FIGURES = FidelityFigures(
    positions=2233,
    windows=40,
    kl_mean=estimated(0.2, 0.02),
    kl_p99=estimated(1.2, 0.3),
    kl_max=3.5,
    top1=estimated(0.75, 0.04),
    ppl_ratio=estimated(1.24, 0.05),
    prefix=None,
)


def sentences(**given: Any) -> tuple[str, ...]:
    return beyond(Bounds.model_validate(given), FIGURES)


def test_no_bound_is_never_exceeded() -> None:
    assert beyond(None, FIGURES) == ()


def test_the_far_end_of_the_interval_decides() -> None:
    assert sentences(kl_mean=0.23, top1=0.70, ppl_ratio=1.3, kl_p99=1.6) == ()
    assert sentences(kl_mean=0.21, top1=0.72) == snapshot(
        (
            "the mean KL divergence is 0.2 (95 % interval 0.18 to 0.22), and kl_mean allows at most 0.21",
            "the share of equal next tokens is 0.75 (95 % interval 0.71 to 0.79), and top1 allows at least 0.72",
        )
    )


def test_what_was_not_measured_is_not_within_a_bound() -> None:
    assert sentences(prefix=2.0) == snapshot(("the shared prefix of answers was not measured, and prefix is bounded",))


@pytest.mark.parametrize("given", [{}, {"kl_mean": 0.0}, {"kl_mean": -1.0}, {"top1": 1.5}, {"ppl_ratio": 0.9}, {"kl_mean": float("nan")}])
def test_bounds_that_bound_nothing_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Bounds.model_validate(given)


def test_a_bound_below_the_references_own_precision_is_refused() -> None:
    assert below_floor(Bounds(kl_mean=0.001), "float32") == ""
    assert below_floor(Bounds(kl_mean=0.01), "bfloat16") == ""
    assert below_floor(Bounds(top1=0.9), "bfloat16") == ""
    assert below_floor(Bounds(kl_mean=0.001), "bfloat16") == snapshot(
        "bounds.kl_mean is 0.001, and the reference in bfloat16 is by itself 0.0011 nats from float32: set it to 0.0022 or more"
    )


def test_a_few_positions_refuse_only_what_even_the_near_end_exceeds() -> None:
    assert surely_beyond(Bounds(kl_mean=0.19), FIGURES) == surely_beyond(None, FIGURES) == ()
    assert len(surely_beyond(Bounds(kl_mean=0.17, top1=0.8, prefix=2.0), FIGURES)) == 2
