"""What the steps are made by that prove a build and package it: the build with nothing left to defaults."""

from __future__ import annotations

from pydantic import Field

from bakehouse.recipe.kinds import DEFAULT_TASK, AnyGolden, BuildOptions, TaskName, is_default_task
from bakehouse.recipe.publish import CardWords
from bakehouse.recipe.resolved import ResolvedBuild
from bakehouse.steps.seam import Spec


class ValidateSpec(Spec):
    """The golden inputs that an artifact has to pass, what kind of model it is, and the options that it was made with."""

    task: TaskName = Field(DEFAULT_TASK, exclude_if=is_default_task)
    golden: tuple[AnyGolden, ...]
    options: BuildOptions


class PackageSpec(Spec):
    """The build that a package is of."""

    build: ResolvedBuild


class BundleSpec(Spec):
    """A package of several builds: its name within the recipe, the builds in it, and its card's own words, left out without any."""

    repository: str
    builds: tuple[ResolvedBuild, ...]
    card: CardWords | None = Field(None, exclude_if=lambda words: words is None)
