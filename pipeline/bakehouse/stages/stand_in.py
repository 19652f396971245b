"""What becomes of a model that was only run on a device which stands in for the one that it is made for.

A stand-in computes otherwise than the device does, so a wrong answer there does not refuse a model by itself: the bounds on its fidelity
decide, and the manifest and the card say that it is not proven on its device. Without bounds nothing speaks for the model.
"""

from __future__ import annotations

from collections.abc import Iterator

from bakehouse.recipe import bounds as bounds_of
from bakehouse.recipe.bounds import Bounds
from bakehouse.recipe.resolved import ResolvedBuild
from bakehouse.records import Fidelity, Validation, Verdict
from bakehouse.steps.maker import Verification

_PROVIDER = "the recipe has `proven_on: provider`, and the model was run on {device} in place of {own}"
_BOUNDS = "give the build `bounds`, by which its fidelity decides"
_OTHER = "choose a quantization that loses less"


def not_proven(build: ResolvedBuild, own: str, validation: Validation, fidelity: Fidelity | None) -> Verification | None:
    """Why a model that ran on a stand-in is not packaged; None if it is. `own` names the devices that it is made for."""
    if not validation.stand_in:
        return None
    if build.options.proven_on == "provider":
        fault = _PROVIDER.format(device=validation.device_name or validation.device, own=own)
        remedy = f"build it on a machine with {own}, or leave proven_on out"
        return Verification({}, (fault,), "the model is not proven on the device that it is made for", remedy)
    wrong, bounds = tuple(_wrong(validation)), build.options.bounds
    beyond = _beyond_in_graphs(bounds, fidelity)
    if not wrong or (bounds and fidelity and not beyond):
        return None
    remedy = f"{_OTHER if beyond else _BOUNDS}, or build it on a machine with {own}"
    return Verification({}, (*wrong, *beyond), "the model answers wrongly on the device that stands in for its own", remedy)


def _wrong(validation: Validation) -> Iterator[str]:
    """A sentence for every reason why an answer is not as expected, each reason once."""
    both: tuple[Verdict, ...] = (*validation.verdicts, *(validation.in_use.verdicts if validation.in_use else ()))
    sentences = (f"{one.prompt!r} was answered {one.answer.strip()[:200]!r}: {reason}" for one in both for reason in one.reasons)
    yield from dict.fromkeys(sentences)


def _beyond_in_graphs(bounds: Bounds | None, fidelity: Fidelity | None) -> tuple[str, ...]:
    """What bounds say of graphs that were measured apart from the model, and that the device runs; the model's own are judged before."""
    if bounds is None or fidelity is None or fidelity.graphs is None:
        return ()
    return tuple(f"in the device's graphs {sentence}" for sentence in bounds_of.beyond(bounds, fidelity.graphs.graphs))
