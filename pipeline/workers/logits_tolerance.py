"""How far logits may lie from the source's before they are something else. Pure.

A position is judged by two figures: the Kullback-Leibler divergence of the next token's distribution, in nats, and the difference of
the logits (each without its mean) relative to the standard deviation of the source's, which also shows in distributions that are
nearly flat. One position in four may be off: a router of experts, or rounding, can flip a near-tie at one token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Tolerance(NamedTuple):
    """The largest divergence in nats, and the largest relative difference."""

    kld: float
    relative: float


# Measured where both sides are right, as (KLD, relative): float32 against float32 up to (4e-7, 5e-4) in both runtimes; float16 within the
# runtime up to (4e-5, 8e-3). What is wrong by one boundary of a random model has a relative difference of 0.05 to 1.4.
TOLERANCES: Mapping[str, Tolerance] = {"float32": Tolerance(1e-3, 2e-2), "float16": Tolerance(1e-2, 1e-1)}
_SHARE = 4


def is_wrong(run: Mapping[str, Any], precision: str) -> bool:
    """Whether the figures of a run are those of another computation, or there are none since it ended in an error."""
    if run.get("error"):
        return True
    most = TOLERANCES[precision]
    off = sum(not (kld <= most.kld and far <= most.relative) for kld, far in zip(run["kld"], run["relative"], strict=True))
    return off * _SHARE >= len(run["kld"])
