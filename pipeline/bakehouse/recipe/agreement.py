"""How many leading tokens an answer must share with the unquantized model's: all of them if nothing was quantized."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from bakehouse.recipe.model import Fault
from bakehouse.recipe.types import Line

FULL_PRECISION = ("fp32", "fp16", "bf16")
ALL = 4096  # as many as an answer may have
# The two fields that the options of every runtime have.
Tokens = Annotated[
    int,
    Field(
        ge=0,
        le=ALL,
        description="Leading tokens that every answer must have in common with the unquantized model's; of a shorter answer, all tokens.",
    ),
]
Reason = Annotated[
    Line | None,
    Field(
        exclude_if=lambda reason: reason is None,
        description="Why the answers of an fp32, fp16 or bf16 build may share only min_agreement tokens with the unquantized model's, "
        "and not all; the card repeats it.",
    ),
]
_KEPT = "cache_kept_beyond"
# How close (in logits) the source's two best next tokens must be so that rounding alone can choose the second. Float32
# and float32 differ by up to 8e-5 (Phi-3 stand-in); float16 rounds weights and activations to 1e-3 of their size; bfloat16 to 8e-3,
# and its logits between 16 and 32 to steps of 0.125.
_TIES = {"fp32": 0.01, "float32": 0.01, "fp16": 0.1, "float16": 0.1, "bf16": 0.5, "bfloat16": 0.5}


def least(weights: str, min_agreement: int, reason: str | None) -> int:
    """Tokens that an answer must share with the source's, if the source's has as many."""
    return ALL if weights in FULL_PRECISION and reason is None else min_agreement


def tie(weights: str, reference: str | None) -> float:
    """The distance within which another choice of a build does not count as a difference; 0 for quantized weights.

    Args:
        reference: the precision that the source's answers were computed in, "float32".
    """
    return max(_TIES[weights], _TIES.get(reference or "", 0.0)) if weights in FULL_PRECISION else 0.0


def kept(length: int | None) -> dict[str, int]:
    """The fact to record about a model whose runtime keeps its keys beyond a length at which transformers computes them again."""
    return {} if length is None else {_KEPT: length}


def kept_beyond(measured: Iterable[Mapping[str, Any]]) -> int | None:
    """That length, from what was measured of a model's parts, or None."""
    return next((int(one[_KEPT]) for one in measured if _KEPT in one), None)


def compared(length: int | None, prompt_tokens: int, source_tokens: int) -> int | None:
    """How many tokens of an answer can be compared, if it passes such a length and its prompt does not; else None, which means all.

    The first token that transformers computes in the other way follows `length` + 1 tokens.
    """
    if length is None or prompt_tokens > length:
        return None
    before = length - prompt_tokens + 1
    return before if before < source_tokens else None


def faults(build: Any) -> Iterator[Fault]:
    """Faults in a build's options: fewer tokens need a reason, and a reason is only for a build that must share all."""
    full = build.quantization.weights in FULL_PRECISION
    if full and 0 < build.min_agreement < ALL and build.min_agreement_reason is None:
        yield Fault(
            ("min_agreement",),
            "The answers of a full-precision build must share all tokens with the unquantized model's, and this is less.",
            "Say why in min_agreement_reason, or leave min_agreement out.",
        )
    if not full and build.min_agreement_reason is not None:
        yield Fault(
            ("min_agreement_reason",),
            f"The answers of a build in {build.quantization.weights} must share only min_agreement tokens, so no reason is needed.",
            "Leave it out.",
        )
