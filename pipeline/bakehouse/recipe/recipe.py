"""A recipe as a value. `loader` reads it from YAML, `resolved` spells out the defaults of its builds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from bakehouse.recipe import deliver as delivering
from bakehouse.recipe import drafts as drafting
from bakehouse.recipe import fits
from bakehouse.recipe import publish as publishing
from bakehouse.recipe.deliver import Deliver
from bakehouse.recipe.fits import full_name
from bakehouse.recipe.kinds import DEFAULT_TASK, AnyGolden, BuildOptions, TaskName, is_default_task
from bakehouse.recipe.model import Fault, Model
from bakehouse.recipe.publish import Publish
from bakehouse.recipe.search import Search
from bakehouse.recipe.source import Source
from bakehouse.recipe.texts import Texts
from bakehouse.recipe.types import NAME_PATTERN, Line, Name
from bakehouse.toolchains import table as toolchains

Toolchain = Annotated[
    toolchains.Name,
    Field(
        description="The release of transformers that converters and the reference run with; `bakehouse support` shows which models need "
        "another than the installed one.",
        exclude_if=lambda name: name == toolchains.INSTALLED,
    ),
]


class Draft(Model):
    """A small model that proposes tokens; the model of a build computes them all at once, and keeps those that it would choose itself."""

    source: Source = Field(description="Where the small model comes from, as in the recipe's `source`; it must have the same tokenizer.")
    build: BuildOptions = Field(description="What is made of it, with the fields of a build; only the weights count.")


class Recipe(Model):
    """One source model, its golden prompts, and the builds to make of it."""

    schema_version: Literal[1] = Field(description="Version of this schema.")
    name: Name = Field(description="First part of every build's name; the file must be called NAME.yaml.")
    description: Line = Field(description="One sentence for `bakehouse list` and the model card.")
    task: TaskName = Field(DEFAULT_TASK, description="What kind of model it is.", exclude_if=is_default_task)
    source: Source = Field(description="Where the model comes from, pinned.")
    toolchain: Toolchain = toolchains.INSTALLED
    golden: tuple[AnyGolden, ...] = Field(min_length=1, description="Prompts that every build must answer as expected.")
    evaluation: Texts | None = Field(
        None, description="Texts that the fidelity of every build is measured on; without it, the text that Bakehouse brings."
    )
    builds: dict[Name, BuildOptions] = Field(
        min_length=1, description="What to make, by name.", json_schema_extra={"propertyNames": {"pattern": NAME_PATTERN}}
    )
    repositories: dict[Name, tuple[Name, ...]] = Field(
        default_factory=dict,
        description="Bundles of several builds, by name: one package with a folder for each build and one model card for all.",
        json_schema_extra={"propertyNames": {"pattern": NAME_PATTERN}},
    )

    searches: dict[Name, Search] = Field(
        default_factory=dict,
        description="Searches for the best build within bounds, by name, which is also the name of the build that one finds.",
        json_schema_extra={"propertyNames": {"pattern": NAME_PATTERN}},
    )
    publish: Publish | None = Field(None, description="Where the builds go on the hub, and what their cards say in addition.")
    deliver: Deliver = Field(default_factory=dict)
    # Left out if it is empty, so that the recipes inside of packages stay the same.
    drafts: dict[Name, Draft] = Field(
        default_factory=dict,
        description="Small models that propose tokens to those of the builds that name them, by name; they lie in their packages.",
        json_schema_extra={"propertyNames": {"pattern": NAME_PATTERN}},
        exclude_if=lambda drafts: not drafts,
    )

    def faults(self) -> Iterator[Fault]:
        yield from fits.long_names(self.name, "builds", "build", self.builds)
        yield from fits.long_names(self.name, "repositories", "bundle", self.repositories)
        yield from self._task_faults()
        for build, options in self.builds.items():
            yield from fits.build_faults(build, options, self.golden)
        for bundle, members in self.repositories.items():
            yield from fits.bundle_faults(bundle, members, self.builds)
        yield from fits.search_faults(self.name, self.searches, self.repositories)
        if self.publish:
            for fault in publishing.misfits(self.publish, self.name, published_names(self), self.source.license):
                yield fault._replace(loc=("publish", *fault.loc))
        yield from fits.draft_faults(self.name, {name: draft.build for name, draft in self.drafts.items()}, self.builds, self.searches)
        yield from fits.adapter_faults(self.source.adapters, self.builds, self.searches)
        for fault in delivering.misfits(self.deliver, published_names(self), writes_text=self.task == DEFAULT_TASK):
            yield fault._replace(loc=("deliver", *fault.loc))

    def _task_faults(self) -> Iterator[Fault]:
        """What another task than the recipe's has, or only the default one."""
        yield from fits.golden_faults(self.task, self.golden)
        special = self.task != DEFAULT_TASK
        if special and self.source.adapters:
            at = ("source", self.source.type, "adapters")
            yield Fault(at, f"Adapters are not merged into models for {self.task}.", "Leave them out.")
        yield from fits.task_faults(self.task, self.builds)
        if special and self.evaluation:
            yield Fault(("evaluation",), f"It would have no effect: nothing is measured on texts for {self.task}.", "Leave it out.")
        if special and self.repositories:
            yield Fault(("repositories",), f"Models for {self.task} are not bundled.", "Leave it out.")
        if special and self.searches:
            yield Fault(("searches",), f"Nothing is searched for {self.task}.", "Leave it out.")


def draft_alone(recipe: Recipe, name: str) -> Recipe:
    """A draft as the only build of a recipe of its own, by which it is planned like any other model."""
    draft = recipe.drafts[name]
    empty: dict[str, Any] = {"repositories": {}, "searches": {}, "deliver": {}, "drafts": {}, "publish": None, "evaluation": None}
    own = {"name": full_name(recipe.name, name), "source": draft.source, "builds": {drafting.BUILD: draft.build}}
    return recipe.model_copy(update=empty | own)


def published_names(recipe: Recipe) -> dict[str, bool]:
    """Builds and bundles; True for a build that is in a bundle."""
    inside = {name for members in recipe.repositories.values() for name in members}
    return {name: name in inside for name in (*recipe.builds, *recipe.repositories)}
