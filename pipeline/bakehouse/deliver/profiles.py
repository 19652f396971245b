"""The places that packages can be delivered to: those of every backend."""

from __future__ import annotations

from dataclasses import dataclass

from bakehouse.backends.delivery import Profile
from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure


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
