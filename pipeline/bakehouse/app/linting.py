"""What `bakehouse lint` finds beyond a recipe's form, without a network: what a build would be refused for, as far as is known here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bakehouse.app.workspace import Workspace
from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.plan.plan import Build
from bakehouse.recipe.loader import Loaded, RecipeErrors
from bakehouse.recipe.locations import Diagnostic
from bakehouse.stages import preflight

_CHANGE = "Change these options in the recipe; a build with them is refused."


def check(workspace: Workspace, session: Session) -> None:
    """Compare every build with its source, as far as that is here: next to its recipe, downloaded, or asked about before.

    Raises:
        RecipeErrors: builds do not fit their sources; each with the line of the build, or of the source if it is so for all builds.
    """
    if found := tuple(one for loaded in workspace.loaded for one in _of_recipe(loaded, workspace, session)):
        raise RecipeErrors(found)


def _of_recipe(loaded: Loaded, workspace: Workspace, session: Session) -> Iterator[Diagnostic]:
    builds = [build for build in workspace.plan.builds if build.resolved.recipe == loaded.recipe.name and not build.members]
    try:
        reasons_of = {build.resolved.build: _reasons(build, session) for build in builds}
    except Failure as failure:
        yield loaded.at_key(("source",), "\n    ".join((failure.what, *failure.details)), failure.remedy)
        return
    count = Counter(reason for reasons in reasons_of.values() for reason in reasons)
    shared = [reason for reason, times in count.items() if times == len(builds) > 1]
    for reason in shared:
        yield loaded.at_key(("source",), reason, _CHANGE)
    for short, reasons in reasons_of.items():
        for reason in reasons:
            if reason not in shared:
                yield loaded.at_key(("builds", short), reason, _CHANGE)


def _reasons(build: Build, session: Session) -> tuple[str, ...]:
    return tuple(dict.fromkeys(preflight.misfits(build, session, ask=False)))
