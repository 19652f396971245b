"""A step as a request to a worker, and back: the worker plans the same recipe with its own tools, and the key has to be the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bakehouse.cluster.seams import LocalContent, StepRequest
from bakehouse.errors import Failure
from bakehouse.executor import version
from bakehouse.plan import measuring, plan
from bakehouse.plan.plan import Build
from bakehouse.recipe.recipe import Recipe
from bakehouse.recipe.resolved import as_recipe
from bakehouse.sources.local import Content
from bakehouse.steps.step import Step


@dataclass(frozen=True)
class Origin:
    """What a build's steps are planned from: its recipe alone, and the contents of the local files that it names."""

    recipe: Recipe
    contents: tuple[LocalContent, ...]


def recipe_of(build: Build) -> Recipe:
    """The recipe of a build, or of a bundle's builds, alone."""
    if build.members:
        return as_recipe(*(member.resolved for member in build.members), bundle=build.resolved.build, words=build.resolved.card)
    return as_recipe(build.resolved)


def origin(build: Build) -> Origin:
    """What its steps are planned from."""
    contents = tuple(
        LocalContent(field=field, name=content.path.name, fingerprint=content.fingerprint) for field, content in build.contents.items()
    )
    return Origin(recipe_of(build), contents)


def of(step: Step, origin: Origin, shared_store: str) -> StepRequest:
    """The request for a step of a build whose `origin` this is."""
    return StepRequest(
        key=step.key,
        kind=step.kind,
        label=step.label,
        recipe=origin.recipe,
        contents=origin.contents,
        tools=_tools([step]),
        bakehouse=version.installed(),
        shared_store=shared_store,
    )


def step_of(request: StepRequest) -> Step:
    """The step that is requested, as this machine plans it.

    Raises:
        Failure: with the tools of this machine it would be another step; which ones differ.
    """
    steps = _planned(request.recipe.model_dump_json(), request.contents)
    if found := steps.get(request.key):
        return found
    like = [step for step in steps.values() if (step.kind, step.label) == (request.kind, request.label)]
    details = tuple(_differences(request, _tools(like)))
    raise Failure(
        "this worker would make another step than the one that was planned",
        where=f"{request.kind} of {request.label}",
        details=details or ("the same tools have the same versions, so Bakehouse itself differs, or the system or Python",),
        remedy="install the same versions on all machines of the cluster: one constraints.txt, or one container image",
    )


@lru_cache(maxsize=256)
def _planned(recipe: str, contents: tuple[LocalContent, ...]) -> Mapping[str, Step]:
    """The steps of a recipe by key, with those that a search needs; a worker is asked for many of one recipe."""
    found = {one.field: Content(Path(one.name), one.fingerprint) for one in contents}
    builds = plan.again(Recipe.model_validate_json(recipe), found)
    return {step.key: step for step in (*plan.unique(build.package for build in builds), *measuring.steps(builds))}


def _tools(steps: Iterable[Step]) -> dict[str, str]:
    """name -> version of all that these steps, and what they need, are made with."""
    return {name: version for step in steps for one in step.closure() for name, version in one.tools.items()}


def _differences(request: StepRequest, here: Mapping[str, str]) -> Iterable[str]:
    if request.bakehouse != version.installed():
        yield f"Bakehouse {version.installed()}, it was planned with {request.bakehouse}"
    for name in sorted({*request.tools, *here}):
        wanted, found = request.tools.get(name, "none"), here.get(name, "none")
        if wanted != found:
            yield f"{name} {found}, it was planned with {wanted}"
