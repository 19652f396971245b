"""A build of a recipe with every default spelled out, and the way back: a recipe of such builds alone."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from bakehouse.recipe import publish as publishing
from bakehouse.recipe.fits import full_name
from bakehouse.recipe.kinds import DEFAULT_TASK, AnyGolden, BuildOptions, TaskName, is_default_task
from bakehouse.recipe.model import Model, Rule
from bakehouse.recipe.publish import CardWords, Destination
from bakehouse.recipe.recipe import Draft, Recipe, Toolchain
from bakehouse.recipe.source import Source
from bakehouse.recipe.texts import Texts
from bakehouse.recipe.types import Name
from bakehouse.toolchains import table as toolchains


class ResolvedBuild(Model):
    """One build of a recipe with every default spelled out; two with the same meaning are equal and have equal dumps."""

    name: Name = Field(description="Full name, recipe and build.")
    recipe: Name = Field(description="Name of the recipe.")
    build: Name = Field(description="Name of the build within the recipe.")
    description: str = Field(description="The recipe's description.")
    task: TaskName = Field(DEFAULT_TASK, description="What kind of model it is.", exclude_if=is_default_task)
    source: Source = Field(description="Where the model comes from.")
    golden: tuple[AnyGolden, ...] = Field(description="Prompts that it must answer as expected: chats or raw texts.")
    options: BuildOptions = Field(description="What is made.")
    toolchain: Toolchain = toolchains.INSTALLED
    draft: Draft | None = Field(
        None, description="The small model that proposes tokens, which the options name.", exclude_if=lambda draft: draft is None
    )
    # Left out if it is None, so that what was resolved without it stays the same.
    evaluation: Texts | None = Field(None, description="Texts that its fidelity is measured on.", exclude_if=lambda texts: texts is None)
    # Left out if it is None: the key of a package that is not published, or whose card says nothing more, stays the same.
    card: CardWords | None = Field(None, description="What the card says in addition.", exclude_if=lambda words: words is None)

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "name",
            lambda build: build.name != full_name(build.recipe, build.build),
            "A full name is recipe and build with `-` between them.",
        ),
    )

    @property
    def license(self) -> str:
        """The licence that the package is published under."""
        return (self.card and self.card.license) or self.source.license


def resolve(recipe: Recipe, build: str) -> ResolvedBuild:
    """Spell out everything that `build` of `recipe` leaves to defaults; KeyError if the recipe has no such build.

    `model_dump(mode="json")` of the result, or of any part of it, is JSON values only and may go into a key.
    """
    draft = recipe.drafts.get(recipe.builds[build].drafted_by() or "")
    return ResolvedBuild(
        name=full_name(recipe.name, build),
        recipe=recipe.name,
        build=build,
        description=recipe.description,
        task=recipe.task,
        source=recipe.source,
        golden=tuple(golden.normal() for golden in recipe.golden),
        options=recipe.builds[build].normal(),
        toolchain=recipe.toolchain,
        draft=draft and draft.model_copy(update={"build": draft.build.normal()}),
        evaluation=recipe.evaluation,
        card=publishing.card_words(recipe.publish, recipe.source.license, home(recipe, build)),
    )


def home(recipe: Recipe, name: str) -> Destination | None:
    """Where a build or bundle is published; a build that is in a bundle is published separately only if `repos` lists it."""
    bundled = any(name in members for members in recipe.repositories.values())
    return publishing.destination(recipe.publish, recipe.name, name, listed_only=bundled)


def as_recipe(*builds: ResolvedBuild, bundle: str = "", words: CardWords | None = None) -> Recipe:
    """The recipe of these builds of one recipe alone, every default spelled out: for their package.

    `words` are those of the bundle's card.
    """
    first = builds[0]
    cards = {**({bundle: words} if bundle else {}), **{build.build: build.card for build in builds}}
    return Recipe(
        schema_version=1,
        name=first.recipe,
        description=first.description,
        task=first.task,
        source=first.source,
        toolchain=first.toolchain,
        golden=first.golden,
        evaluation=first.evaluation,
        builds={build.build: build.options for build in builds},
        repositories={bundle: tuple(build.build for build in builds)} if bundle else {},
        drafts={name: build.draft for build in builds if build.draft and (name := build.options.drafted_by())},
        publish=publishing.publish_of(cards),
    )
