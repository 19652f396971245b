"""The candidates of a search: each is the same keyed steps as an ordinary build, so what was made stays made, here and for builds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.plan import measuring, plan
from bakehouse.plan.plan import Build
from bakehouse.recipe.build import RuntimeBuild
from bakehouse.recipe.candidates import candidates
from bakehouse.recipe.loader import Loaded
from bakehouse.recipe.search import Expanded, Search
from bakehouse.search.candidates import Candidate, candidate
from bakehouse.search.decide import Goal
from bakehouse.stages import estimates, preflight
from bakehouse.steps.step import Step

MODEL = ("compress", "compile")


@dataclass(frozen=True)
class Trial:
    """A candidate, its options as the recipe would have them, the build that it is, and the steps that measure it."""

    candidate: Candidate
    options: RuntimeBuild
    build: Build
    screen: Step
    confirm: Step

    @property
    def model(self) -> tuple[Step, ...]:
        """The steps that make the model's files."""
        return tuple(step for step in self.build.parts.values() if step.kind in MODEL)


@dataclass(frozen=True)
class Prepared:
    """A search before anything of it is made; `left_out` is how many combinations are invalid, the same as another, or do not fit."""

    name: str
    search: Search
    goal: Goal
    trials: tuple[Trial, ...]
    left_out: int

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All candidates, the smallest first."""
        return tuple(trial.candidate for trial in self.trials)

    def trial(self, name: str) -> Trial:
        """The trial of a candidate."""
        return next(trial for trial in self.trials if trial.candidate.name == name)


def combinations(loaded: Loaded, name: str) -> Expanded[Any]:
    """Every combination of options that a search of a recipe comes to."""
    return candidates(loaded.recipe.searches[name])


def builds(loaded: Loaded, name: str, found: Expanded[Any], fingerprint: Callable[[Path], str], *, confined: bool) -> tuple[Build, ...]:
    """The candidates as builds of a recipe that has nothing else."""
    named = {f"{name}-{number:03}": one.build for number, one in enumerate(found.combinations, 1)}
    recipe = loaded.recipe.model_copy(update={"builds": named, "repositories": {}, "publish": None, "searches": {}})
    return plan.make([replace(loaded, recipe=recipe)], fingerprint, confined=confined).builds


def ranked(found: Expanded[Any], planned: tuple[Build, ...], session: Session, have: Callable[[Step, Build], None]) -> Expanded[Any]:
    """The combinations with layers by name in place of a ratio, chosen by what each layer does in fewer bits.

    Args:
        planned: the combinations as builds.
        have: as that of `Means`.

    Raises:
        Failure: the layers cannot be measured.
    """
    made = []
    for combination, build in zip(found.combinations, planned, strict=True):
        step, backend = measuring.ranking(build), BACKENDS[build.resolved.options.runtime]
        if step is None or preflight.misfits(build, session, ask=True):
            made.append(combination)
            continue
        have(step, build)
        made.append(replace(combination, build=backend.keeping(combination.build, session.store.files(step))))
    return replace(found, combinations=made)


def prepare(loaded: Loaded, name: str, found: Expanded[Any], planned: tuple[Build, ...], session: Session) -> Prepared:
    """The candidates that fit the model, each with its predicted size; `planned` are the combinations of `found` as builds.

    Raises:
        Failure: the shapes of the model are not known before it is downloaded, or no candidate fits it.
    """
    search = loaded.recipe.searches[name]
    survey = preflight.survey_of(planned[0], session, ask=True)
    if survey is None:
        raise Failure(
            "the sizes of candidates are known once the source is downloaded",
            remedy="search without --plan, which downloads it first",
        )
    trials, reasons = list[Trial](), list[str]()
    for combination, build in zip(found.combinations, planned, strict=True):
        if wrong := preflight.misfits(build, session, ask=True):
            reasons += wrong
            continue
        models = [step for step in build.parts.values() if step.kind in MODEL]
        size = sum(estimates.of(step, survey).disk_bytes for step in models)
        one = candidate(build.resolved.build, combination.varied, combination.build, size)
        trials.append(_trial(one, combination.build, build))
    if not trials:
        raise Failure("no candidate fits the model", details=tuple(dict.fromkeys(reasons)), remedy="change the options of the search")
    goal = Goal(search.minimize, search.bounds, search.max_size_bytes, search.max_candidates, search.max_seconds)
    ordered = sorted(trials, key=lambda trial: (trial.candidate.predicted_bytes, trial.candidate.name))
    return Prepared(name, search, goal, tuple(ordered), found.left_out + len(found.combinations) - len(trials))


def _trial(one: Candidate, written: RuntimeBuild, build: Build) -> Trial:
    confirm, screen = measuring.confirmation(build), measuring.screening(build)
    if confirm is None or screen is None:
        raise Failure(f"the fidelity of models of {build.resolved.options.runtime} cannot be measured")
    return Trial(one, written, build, screen, confirm)
