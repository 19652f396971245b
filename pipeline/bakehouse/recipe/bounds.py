"""How far a build may be from its source: bounds on the figures of its fidelity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import ConfigDict, Field

from bakehouse.recipe.model import Fault, Model
from bakehouse.records import Estimated, FidelityFigures

WORDS: Mapping[str, str] = {
    "kl_mean": "the mean KL divergence",
    "kl_p99": "the 99th percentile of the KL divergence",
    "top1": "the share of equal next tokens",
    "ppl_ratio": "the perplexity ratio",
    "prefix": "the shared prefix of answers",
}
_AT_LEAST = ("top1", "prefix")  # of the others, less is better
# KL divergence in nats below which the precision of the reference itself decides: bfloat16 against float32 was measured at 0.0011 on
# SmolLM2-135M, with 97 % equal next tokens; float16 rounds eight times finer. In float32 there is none.
FLOORS: Mapping[str, float] = {"float32": 0.0, "float16": 0.0001, "bfloat16": 0.0011}
_ABOVE_FLOOR = 2.0


class Bounds(Model):
    """The far end of each figure's 95 % interval must be within its bound."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})
    elsewhere: ClassVar[Mapping[str, str]] = {"kl_max": "The largest divergence is noise: one position decides it. Set kl_p99 instead."}

    kl_mean: float | None = Field(None, gt=0, description="Most mean KL divergence from the source, in nats.")
    kl_p99: float | None = Field(None, gt=0, description="Most KL divergence from the source at 99 of 100 positions, in nats.")
    top1: float | None = Field(None, gt=0, le=1, description="Least share of positions with the source's most likely next token, 0 to 1.")
    ppl_ratio: float | None = Field(None, gt=1, description="Most perplexity, in multiples of the source's.")
    prefix: float | None = Field(None, gt=0, description="Least leading tokens of the source's answers that are the same, on average.")

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        if not self.given():
            yield Fault((), "No bound is set, so this would change nothing.", "Set one, such as kl_mean, or leave bounds out.")

    def given(self) -> dict[str, float]:
        """The bounds that are set, by the names of the figures."""
        return {name: value for name in WORDS if (value := getattr(self, name)) is not None}


def beyond(bounds: Bounds | None, figures: FidelityFigures) -> tuple[str, ...]:
    """Sentences, one for each bound that these figures exceed or, by the far end of their interval, may exceed."""
    return tuple(_sentences(bounds, figures, surely=False))


def surely_beyond(bounds: Bounds | None, figures: FidelityFigures) -> tuple[str, ...]:
    """As `beyond`, but only where even the near end of the interval exceeds the bound: what a measurement at few positions can refuse."""
    return tuple(_sentences(bounds, figures, surely=True))


def _sentences(bounds: Bounds | None, figures: FidelityFigures, *, surely: bool) -> Iterator[str]:
    for name, bound in (bounds.given() if bounds else {}).items():
        found: Estimated | None = getattr(figures, name)
        if found is None:
            if not surely:
                yield f"{WORDS[name]} was not measured, and {name} is bounded"
            continue
        at_least = name in _AT_LEAST
        end = found.low if at_least != surely else found.high
        if end < bound if at_least else end > bound:
            shown = f"{found.value:.3g} (95 % interval {found.low:.3g} to {found.high:.3g})"
            yield f"{WORDS[name]} is {shown}, and {name} allows {'at least' if at_least else 'at most'} {bound:g}"


def below_floor(bounds: Bounds | None, precision: str) -> str:
    """Why a bound says nothing of a build whose reference is computed in this precision; "" where it does."""
    floor = FLOORS.get(precision, 0.0) * _ABOVE_FLOOR
    if bounds is None or bounds.kl_mean is None or bounds.kl_mean >= floor:
        return ""
    own = f"the reference in {precision} is by itself {FLOORS[precision]:g} nats from float32"
    return f"bounds.kl_mean is {bounds.kl_mean:g}, and {own}: set it to {floor:g} or more"
