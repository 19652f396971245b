"""The steps of a search that no package needs: a first look at a candidate's fidelity, and what each of its layers does in fewer bits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bakehouse.backends.table import BACKENDS
from bakehouse.plan.plan import Build
from bakehouse.steps.step import Step

POSITIONS = 256  # of a first look: 128 rank builds as all positions do (measured on SmolLM2-135M)


def confirmation(build: Build) -> Step | None:
    """The step that measures a build at all positions, which its package needs too; None if that cannot be measured."""
    return dict(build.package.needs).get("fidelity")


def screening(build: Build) -> Step | None:
    """The step that measures it at a few positions."""
    confirm, options = confirmation(build), build.resolved.options
    if confirm is None:
        return None
    return BACKENDS[options.runtime].fidelity(build.name, options, build.parts, confirm.need("reference"), positions=POSITIONS)


def ranking(build: Build) -> Step | None:
    """The step that measures each layer in fewer bits; None for a build that leaves no layers to choose."""
    confirm, options = confirmation(build), build.resolved.options
    if confirm is None:
        return None
    return BACKENDS[options.runtime].sensitivity(build.name, options, build.parts, confirm.need("reference"))


def steps(builds: Iterable[Build]) -> Iterator[Step]:
    """All of them, of these builds."""
    for build in builds:
        yield from (step for step in (screening(build), ranking(build)) if step)
