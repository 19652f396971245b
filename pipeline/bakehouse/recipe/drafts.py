"""Which drafts a recipe may have: small models that propose tokens, which the model of a build accepts or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bakehouse.recipe.build import RuntimeBuild
from bakehouse.recipe.model import Fault
from bakehouse.recipe.types import quoted

BUILD = "draft"  # the name of the one build of a draft, where it is planned as a recipe of its own
_COUNTS = ("runtime", "quantization", "unknown_architecture")  # options of a draft that have an effect


def misfits(drafts: Mapping[str, RuntimeBuild], builds: Mapping[str, RuntimeBuild]) -> Iterator[Fault]:
    """What is wrong with the drafts of a recipe, whose options these are, for its builds."""
    for name, options in builds.items():
        wanted, at = options.drafted_by(), ("builds", name, options.runtime_name(), "draft")
        if wanted is None:
            continue
        if wanted not in drafts:
            known = f"The drafts are {', '.join(drafts)}." if drafts else "Describe it in the recipe's `drafts`."
            yield Fault(at, f"No draft is called {quoted(wanted)}.", known)
        elif (other := drafts[wanted].runtime_name()) != options.runtime_name():
            yield Fault(at, f"{quoted(wanted)} is a draft for {other}, and this build one for {options.runtime_name()}.", "Name another.")
    named = {options.drafted_by() for options in builds.values()}
    for name, options in drafts.items():
        if name not in named:
            yield Fault(("drafts", name, "[key]"), "No build names this draft, so it would have no effect.", "Leave it out.")
        at = ("drafts", name, "build", options.runtime_name())
        for field in _idle(options):
            yield Fault((*at, field), "Of a draft only the weights count, so this would have no effect.", "Leave it out.")
        if options.texts():
            yield Fault((*at, "quantization"), "A draft is made without calibration.", "Leave out calibration, and what needs it.")


def _idle(options: RuntimeBuild) -> Iterator[str]:
    """The options that are set and have no effect on a draft."""
    for name, info in type(options).model_fields.items():
        if name not in _COUNTS and not info.is_required() and getattr(options, name) != info.get_default():
            yield name
