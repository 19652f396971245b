"""Figures of fidelity that nobody measured, for what only shows them."""

from __future__ import annotations

from typing import Any

from bakehouse.records import Estimated, Fidelity, FidelityFigures, FidelityWindow

SPREAD = (0.7, 1.2, 0.9, 1.5, 0.6, 1.1)  # of a model's divergence over its windows, in multiples of the mean


def figures(kl: float = 0.2, *, positions: int = 600, prefix: float | None = 4.0) -> FidelityFigures:
    """Those of a model with this mean divergence in nats."""

    def around(value: float, most: float = float("inf")) -> Estimated:
        return Estimated(value=value, low=0.9 * value, high=min(1.1 * value, most))

    return FidelityFigures(
        positions=positions,
        windows=len(SPREAD),
        kl_mean=around(kl),
        kl_p99=around(5 * kl),
        kl_max=15 * kl,
        top1=around(1 / (1 + kl), 1.0),
        ppl_ratio=around(1 + kl),
        prefix=None if prefix is None else around(prefix),
    )


def fidelity(kl: float = 0.2, **changes: Any) -> Fidelity:
    """What was measured of a model with this mean divergence: 600 positions in 6 windows."""
    made = Fidelity(
        version=1,
        text="bakehouse-1",
        reference_precision="float32",
        floor_kl=0.0,
        device="CPU",
        figures=figures(kl),
        sets={"prose": figures(0.8 * kl, positions=400, prefix=None), "answers": figures(1.4 * kl, positions=200)},
        windows=tuple(
            FidelityWindow(set="prose", positions=100, kl_sum=100 * kl * part, same=80, nll_sum=2.0, prefix=None) for part in SPREAD
        ),
    )
    return made.model_copy(update=changes)
