"""`bakehouse lint`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bakehouse.app import linting
from bakehouse.app.cli import JSON, Ours
from bakehouse.app.workspace import open_workspace
from bakehouse.executor.session import Session
from bakehouse.plan.plan import Plan
from bakehouse.recipe.loader import RecipeErrors
from bakehouse.text import count_text


class Lint(Ours):
    """`bakehouse lint`"""

    doc_purpose = "check all recipes; every error of every file"
    doc_usage = ""
    cmd_options = (JSON,)

    def _do(self, params: Any, args: list[str]) -> int:
        if params["json"]:
            return _as_json()
        workspace = open_workspace()
        linting.check(workspace, Session(workspace.store))
        plan = workspace.plan
        recipes = {build.resolved.recipe for build in plan.builds}
        is_ = "is" if len(recipes) == 1 else "are"
        print(f"{count_text(len(recipes), 'recipe')} with {count_text(len(plan.builds), 'build')} {is_} well formed")
        for name, remark in _remarks(plan):
            print(f"  {name}: {remark}")
        return 0


def _remarks(plan: Plan) -> Iterator[tuple[str, str]]:
    for build in plan.builds:
        cannot = f"cannot be made on this machine: {build.cannot}" if build.cannot else ""
        for remark in filter(None, (build.resolved.source.remark(), build.resolved.options.remark(), cannot)):
            yield build.name, remark


def _as_json() -> int:
    from bakehouse.app import documents, to_json

    try:
        workspace = open_workspace()
        linting.check(workspace, Session(workspace.store))
    except RecipeErrors as errors:
        print(documents.text(to_json.linted(errors.diagnostics, (), ())))
        return 1
    print(documents.text(to_json.linted((), workspace.plan.builds, _remarks(workspace.plan))))
    return 0
