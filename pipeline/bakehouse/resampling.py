"""The samples of windows that intervals of fidelity come from: the same ones for every model, in every process."""

from __future__ import annotations

import random
from functools import cache

TAIL = 0.025  # on each side of a 95 % interval
_SAMPLES, _SEED = 1000, 1


@cache
def resampled(count: int) -> tuple[tuple[int, ...], ...]:
    """Samples of as many places as there are, with repetition; Python's own generator has the same numbers in every version."""
    source = random.Random(_SEED)
    return tuple(tuple(int(source.random() * count) for _ in range(count)) for _ in range(_SAMPLES))
