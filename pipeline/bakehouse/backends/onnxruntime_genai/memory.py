"""How much the worker that quantizes holds at once; what a build will take is estimated from it."""

from __future__ import annotations

TOGETHER = 1 << 24  # weights of a large matrix that are quantized at once; each takes some 40 bytes meanwhile
KEPT_BYTES = 1 << 30  # of quantized weights, until all are written; more of them wait in a file
