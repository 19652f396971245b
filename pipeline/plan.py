"""Recipes in, a plan out: which steps every build needs, each once however many builds share it. Nothing is made or fetched here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import sources
from pipeline.backends import BACKENDS, reference
from pipeline.loader import Loaded
from pipeline.recipe import Recipe, ResolvedBuild, ResolvedGolden, resolve
from pipeline.step import Step


@dataclass(frozen=True)
class Build:
    """One named result of a recipe and the steps that lead to it.

    Attributes:
        name: recipe and build name joined, `phi3-int4-openvino`.
        asked: the build with every default spelled out.
        survey: the step that asks for shapes and sizes before the download, if the source can say.
        parts: role -> step; with the checkpoint's their files make the model folder.
        cannot: why this machine cannot make it, in a few words, or None.
    """

    name: str
    asked: ResolvedBuild
    checkpoint: Step
    survey: Step | None
    parts: dict[str, Step]
    validate: Step
    package: Step
    cannot: str | None = None


@dataclass(frozen=True)
class Plan:
    """All builds of all recipes."""

    builds: tuple[Build, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step once, each after what it needs."""
        return unique(build.package for build in self.builds)

    def build(self, name: str) -> Build | None:
        """The build of that name."""
        return next((build for build in self.builds if build.name == name), None)


def make(loaded: Iterable[Loaded], fingerprint: Callable[[Path], str]) -> Plan:
    """The plan of these recipes; `fingerprint` gives the content hash of a local source or calibration file.

    Raises:
        Failure: a local source is not there or reaches outside the recipes folder.
    """
    return Plan(tuple(build for one in loaded for build in _builds(one, fingerprint)))


def _builds(loaded: Loaded, fingerprint: Callable[[Path], str]) -> Iterator[Build]:
    recipe, base = loaded.recipe, loaded.path.parent
    checkpoint = sources.checkpoint(recipe.source, recipe.name, base=base, fingerprint=fingerprint)
    survey = sources.survey(recipe.source, recipe.name)
    for short in recipe.builds:
        asked = resolve(recipe, short)
        backend = BACKENDS[asked.options.runtime]
        calibration = sources.calibration(asked.options, asked.name, base=base, fingerprint=fingerprint)
        parts = backend.steps(
            asked.name, asked.options, checkpoint, recipe.name, calibration=calibration, remote_code=sources.runs_code(recipe.source)
        )
        yield _assemble(recipe, asked, checkpoint, survey, parts)


def _assemble(recipe: Recipe, asked: ResolvedBuild, checkpoint: Step, survey: Step | None, parts: dict[str, Step]) -> Build:
    """Join the parts of a build with the steps that prove and package it."""
    backend = BACKENDS[asked.options.runtime]
    pieces = (("checkpoint", checkpoint), *parts.items())
    validate = Step(
        kind="validate",
        maker=asked.options.runtime,
        label=asked.name,
        options={"golden": [golden.model_dump(mode="json") for golden in asked.golden], "min_agreement": asked.options.min_agreement},
        needs=(*pieces, ("reference", reference.step(recipe.name, checkpoint, prompts(asked.golden)))),
        tools=backend.generate_tools(),
    )
    package = Step(
        kind="package",
        maker=asked.options.runtime,
        label=asked.name,
        options={"recipe": written(recipe, asked.build)},
        needs=(*pieces, ("validate", validate)),
    )
    return Build(asked.name, asked, checkpoint, survey, parts, validate, package, backend.missing())


def unique(steps: Iterable[Step]) -> tuple[Step, ...]:
    """These steps and all they need, each once by key, deepest first."""
    seen: dict[str, Step] = {}
    for step in steps:
        for needed in step.closure():
            seen.setdefault(needed.key, needed)
    return tuple(seen.values())


def written(recipe: Recipe, build: str) -> dict[str, Any]:
    """The recipe as it was written, with only the one build in it: what goes into the package, and builds it again."""
    whole = recipe.model_dump(mode="json", exclude_unset=True)
    return {**whole, "builds": {build: whole["builds"][build]}}


def prompts(golden: Iterable[ResolvedGolden]) -> list[dict[str, Any]]:
    """What a generating worker is asked: chats or raw texts, each with its token limit."""
    return [one.model_dump(mode="json", include={"messages", "raw", "max_new_tokens"}, exclude_none=True) for one in golden]
