"""How far logits may lie from the source's before they are something else. Pure.

A position is judged by two figures: the Kullback-Leibler divergence of the next token's distribution, in nats, and the difference of
the logits (each without its mean) relative to the standard deviation of the source's, which also shows in distributions that are
nearly flat. One position in four may be off: a router of experts, or rounding, can flip a near-tie at one token.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bakehouse.tasks.text_generation.seams import Failed, Figures, Precision


class Tolerance(NamedTuple):
    """The largest divergence in nats, and the largest relative difference."""

    kld: float
    relative: float


# Measured where both sides are right, as (KLD, relative), with OpenVINO 2026.4.1 and onnxruntime 1.31.1: SmolLM2-135M in float32
# (2e-10, 4e-6) in both, small random models up to (4e-9, 2e-5), gemma2's capped attention in ONNX (3e-7, 5e-4); in float16
# (3e-3, 3e-2). What is wrong in a small random model (a window, scaled rotary embeddings, norms) has (0.8 to 3, 0.9 to 1.6).
TOLERANCES: Mapping[Precision, Tolerance] = {"float32": Tolerance(1e-4, 5e-3), "float16": Tolerance(2e-2, 1e-1)}
# A model whose shortest input is right to six digits is right to about as many on a long one: a window that is left out changes the
# logits of the Phi-3 stand-in's first two layers by 1e-3 where the window has just been passed, and rounding by 1e-6.
_FACTOR = 100
_FLOORS: Mapping[Precision, float] = {"float32": 2e-4, "float16": 5e-2}
_SHARE = 4


def limits(runs: Iterable[Figures | Failed], precision: Precision) -> Tolerance:
    """What is allowed of the runs of one model, from how near its shortest input comes."""
    most = TOLERANCES[precision]
    right = [run for run in runs if isinstance(run, Figures)]
    if not right:
        return most
    shortest = min(right, key=lambda run: (run.tokens, run.stepped))
    usual = sorted(shortest.relative)[len(shortest.relative) // 2]
    return Tolerance(most.kld, min(most.relative, max(_FLOORS[precision], _FACTOR * usual)))


def is_wrong(run: Figures | Failed, most: Tolerance) -> bool:
    """Whether the figures of a run are those of another computation, or there are none since it ended in an error."""
    if isinstance(run, Failed):
        return True
    off = sum(not (kld <= most.kld and far <= most.relative) for kld, far in zip(run.kld, run.relative, strict=True))
    return off * _SHARE >= len(run.kld)
