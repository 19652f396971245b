"""The places that packages can be delivered to, those of every backend, and whether those that a recipe names take its builds."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bakehouse.backends.delivery import Profile
from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure
from bakehouse.recipe.fits import full_name
from bakehouse.recipe.kinds import BuildOptions
from bakehouse.recipe.loader import Loaded
from bakehouse.recipe.locations import Diagnostic
from bakehouse.recipe.recipe import Recipe
from bakehouse.recipe.types import quoted

_HUB = "huggingface"  # not a place of this kind, but a word that people try


@dataclass(frozen=True)
class Offered:
    """A profile, and the runtime whose packages it takes."""

    profile: Profile
    runtime: str


def all_of() -> dict[str, Offered]:
    """Every profile by its name."""
    return {profile.name: Offered(profile, runtime) for runtime, backend in BACKENDS.items() for profile in backend.profiles()}


def chosen(name: str, package: str, runtime: str) -> Profile:
    """The profile `name` for a package of this runtime.

    Raises:
        Failure: it takes other packages.
    """
    offered = all_of()[name]
    if offered.runtime != runtime:
        fitting = ", ".join(one.profile.name for one in all_of().values() if one.runtime == runtime)
        raise Failure(
            f"{name} takes {offered.profile.takes}, and {package} is one for {runtime}",
            remedy=f"a package for {runtime} can be delivered to {fitting}" if fitting else "deliver a build of another runtime",
        )
    return offered.profile


def misfits(loaded: Loaded) -> Iterator[Diagnostic]:
    """The places in a recipe that are none, or that do not take the build."""
    recipe, known = loaded.recipe, all_of()
    for name, places in recipe.deliver.items():
        full, builds = full_name(recipe.name, name), _members(recipe, name)
        for position, place in enumerate(places):
            at = ("deliver", name, position)
            if place not in known:
                yield loaded.at(at, f"{quoted(place)} is not a place that packages are delivered to.", _instead(place, known))
                continue
            try:
                chosen(place, full, builds[0].runtime).fits(full, builds)
            except Failure as failure:
                yield loaded.at(at, failure.what, failure.remedy)


def _members(recipe: Recipe, name: str) -> tuple[BuildOptions, ...]:
    """The builds of a bundle, or the one build of that name."""
    return tuple(recipe.builds[member] for member in recipe.repositories.get(name, (name,)))


def _instead(place: str, known: Mapping[str, Offered]) -> str:
    if place == _HUB:
        return "A package goes to the hub as it is; `publish` says where to."
    near = difflib.get_close_matches(place, known, 1, 0.6)
    return f"Did you mean {quoted(near[0])}?" if near else f"The places are {', '.join(known)}."
