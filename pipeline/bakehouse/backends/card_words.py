"""Words for what was done to weights, which the cards of several backends use."""

from __future__ import annotations

Rows = tuple[tuple[str, str], ...]  # what, and how, of a card's table

_NOT_QUANTIZED = {"fp32": "fp32 (32-bit floating point), not quantized", "fp16": "fp16 (16-bit floating point), not quantized"}
_FLOATS = {"bf16": "bf16 (bfloat16), not quantized", "nf4": "nf4 (4-bit NormalFloat)", "mxfp4": "mxfp4 (4-bit floating point)"}


def weights(precision: str, *, symmetric: bool | None = None) -> str:
    """A precision of weights: "int4, symmetric"; `symmetric` is None for those that cannot be either."""
    if symmetric is not None and precision.startswith("int"):
        return f"{precision}, {'symmetric' if symmetric else 'asymmetric (with zero points)'}"
    return {**_NOT_QUANTIZED, **_FLOATS}.get(precision, precision)


def scales(size: int) -> str:
    """How many weights share a scale; -1 is a complete channel."""
    return "one for each channel" if size == -1 else f"one for every {size} weights"


def stored(precision: str) -> str:
    """A precision as records name it: "int8_asym" is "int8, asymmetric (with zero points)"; "none" is what the source has."""
    if precision == "none":
        return "as in the source"
    name, _, kind = precision.partition("_")
    return weights(name, symmetric=kind == "sym" if kind else None)
