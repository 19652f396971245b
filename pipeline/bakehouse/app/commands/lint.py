"""`bakehouse lint`."""

from __future__ import annotations

from typing import Any

from bakehouse.app import linting
from bakehouse.app.cli import Ours
from bakehouse.app.workspace import open_workspace
from bakehouse.executor.session import Session
from bakehouse.text import count_text


class Lint(Ours):
    """`bakehouse lint`"""

    doc_purpose = "check all recipes; every error of every file"
    doc_usage = ""

    def _do(self, params: Any, args: list[str]) -> int:
        workspace = open_workspace()
        linting.check(workspace, Session(workspace.store))
        plan = workspace.plan
        recipes = {build.resolved.recipe for build in plan.builds}
        is_ = "is" if len(recipes) == 1 else "are"
        print(f"{count_text(len(recipes), 'recipe')} with {count_text(len(plan.builds), 'build')} {is_} well formed")
        for build in plan.builds:
            cannot = f"cannot be made on this machine: {build.cannot}" if build.cannot else ""
            for remark in filter(None, (build.resolved.source.remark(), build.resolved.options.remark(), cannot)):
                print(f"  {build.name}: {remark}")
        return 0
