"""A build that is further from its source than its bounds allow is not packaged."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.recipe.bounds import Bounds
from bakehouse.records import Estimated, Fidelity, FidelityFigures
from bakehouse.stages.package import beyond_bounds
from tests.package.test_card import manifest

pytestmark = pytest.mark.needs_backend("openvino")


def found(kl: float) -> Fidelity:
    figure = Estimated(value=kl, low=kl * 0.9, high=kl * 1.1)
    figures = FidelityFigures(positions=2233, windows=40, kl_mean=figure, kl_p99=figure, kl_max=kl, top1=figure, ppl_ratio=figure)
    return Fidelity(
        version=1, text="bakehouse-1", reference_precision="float32", floor_kl=0.0, device="CPU", figures=figures, sets={}, windows=()
    )


def build(**bounds: Any) -> Any:
    resolved = manifest().build
    options = resolved.options.model_copy(update={"bounds": Bounds(**bounds) if bounds else None})
    return resolved.model_copy(update={"options": options})


def test_a_build_without_bounds_may_be_anywhere() -> None:
    assert beyond_bounds(build(), found(9.0)) is None
    assert beyond_bounds(build(), None) is None


def test_a_build_within_its_bounds_is_packaged() -> None:
    assert beyond_bounds(build(kl_mean=0.2), found(0.15)) is None


def test_a_build_beyond_a_bound_fails_with_the_figure_its_interval_and_the_bound() -> None:
    verification = beyond_bounds(build(kl_mean=0.2), found(0.19))
    assert verification is not None
    assert verification.what == "the model is further from its source than the recipe's bounds allow"
    assert verification.faults == snapshot(
        ("the mean KL divergence is 0.19 (95 % interval 0.171 to 0.209), and kl_mean allows at most 0.2",)
    )
    assert verification.measured["text"] == "bakehouse-1"


def test_a_build_that_is_not_measured_is_within_no_bound() -> None:
    verification = beyond_bounds(build(kl_mean=0.2), None)
    assert verification is not None
    assert verification.faults == ("this runtime has no measure of fidelity",)
