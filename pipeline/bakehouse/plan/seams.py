"""What the steps are made by that prove a build and package it: the build with nothing left to defaults."""

from __future__ import annotations

from pydantic import Field

from bakehouse.recipe.publish import CardWords
from bakehouse.recipe.recipe import BuildOptions, ResolvedBuild
from bakehouse.steps.seam import Spec
from bakehouse.tasks.text_generation.golden import Golden


class ValidateSpec(Spec):
    """The prompts that an artifact has to answer, and the options that it was made with."""

    golden: tuple[Golden, ...]
    options: BuildOptions


class PackageSpec(Spec):
    """The build that a package is of."""

    build: ResolvedBuild


class BundleSpec(Spec):
    """A package of several builds: its name within the recipe, the builds in it, and its card's own words, left out without any."""

    repository: str
    builds: tuple[ResolvedBuild, ...]
    card: CardWords | None = Field(None, exclude_if=lambda words: words is None)
