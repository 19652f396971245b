"""Which proposed builds fit: tried as the real ones are, by the plan and the checks that come before any work."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

from bakehouse.app.init.text import Draft, recipe
from bakehouse.backends.base import Proposal, Proposals
from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.formats.checkpoint import Survey
from bakehouse.plan import plan
from bakehouse.plan.plan import Build
from bakehouse.recipe.kinds import BuildOptions
from bakehouse.recipe.loader import Loaded
from bakehouse.recipe.recipe import Recipe
from bakehouse.recipe.yaml_tree import read
from bakehouse.sources import local
from bakehouse.stages import preflight
from bakehouse.toolchains.table import INSTALLED, Name, most_runtimes


def fitted(draft: Draft, recipes: Path, runtimes: Collection[str], session: Session) -> Draft:
    """The draft with the builds that fit the model and this machine; of each kind the first that does.

    Raises:
        Failure: no build fits, or the source cannot be read.
    """
    survey = _survey(draft, recipes, session)
    parameters = survey.parameters if survey else None
    draft = replace(draft, toolchain=_toolchain(survey, runtimes, draft.origin.task))
    builds: list[Proposal] = []
    left_out: list[tuple[str, str]] = []
    for runtime in runtimes:
        for alternatives in proposed(BACKENDS[runtime].proposals(parameters), draft.origin.task):
            reasons = ""
            for proposal in alternatives:
                reasons = _reasons(_planned(draft, proposal, recipes, session), session)
                if not reasons:
                    builds.append(proposal)
                    break
            else:
                left_out.append((alternatives[0].name, reasons))
    if not builds:
        details = tuple(f"{name}: {reason}" for name, reason in left_out)
        raise Failure("No build fits this model on this machine.", details=details, remedy="Name another model, or another --runtime.")
    return replace(draft, builds=tuple(builds), left_out=tuple(left_out))


def proposed(proposals: Proposals, task: str) -> Proposals:
    """Those of the proposals that are for models of a task."""
    return tuple(alternatives for alternatives in proposals if _is_for(task, alternatives[0].build))


def _is_for(task: str, build: BuildOptions) -> bool:
    return task in build.tasks and not build.without_effect(task)


def _toolchain(survey: Survey | None, runtimes: Collection[str], task: str) -> Name:
    """The toolchain that makes the model for the most of these runtimes; the installed one where that is not known."""
    works = {runtime: BACKENDS[runtime].toolchains(survey.config, task) for runtime in runtimes} if survey else {}
    return most_runtimes(works) or INSTALLED


def _survey(draft: Draft, recipes: Path, session: Session) -> Survey | None:
    """What is known of the model; None where only the download tells. A source elsewhere is asked here, once."""
    task = draft.origin.task
    known = (proposed(backend.proposals(None), task) for backend in BACKENDS.values())
    any_build = next(one for proposals in known for alternatives in proposals for one in alternatives)
    return preflight.survey_of(_planned(draft, any_build, recipes, session), session, ask=True)


def _planned(draft: Draft, proposal: Proposal, recipes: Path, session: Session) -> Build:
    """The build that a recipe with this proposal alone would have."""
    text = recipe(replace(draft, builds=(proposal,), left_out=()))
    root, _, problems = read(text.encode())
    assert root is not None and not problems, problems
    loaded = Loaded(recipes / f"{draft.name}.yaml", text, Recipe.model_validate_json(json.dumps(root.data)), root)
    fingerprint = partial(local.fingerprint, cache=session.store.root / "fingerprints.json")
    return plan.make([loaded], fingerprint, confined=local.untrusted(os.environ)).builds[0]


def _reasons(build: Build, session: Session) -> str:
    """Why the build cannot be made anywhere, or not with this machine's disk and memory, in one sentence; "" if it can.

    A tool that is missing here is no reason: `list` names it, and the recipe may be built elsewhere.
    """
    if found := preflight.misfits(build, session, ask=True):
        return "; ".join(found)
    try:
        preflight.check_room(preflight.forecast([build], session, ask=False), session.store)
    except Failure as failure:
        return failure.what
    return ""
