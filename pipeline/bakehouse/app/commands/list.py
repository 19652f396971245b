"""`bakehouse list`."""

from __future__ import annotations

from typing import Any

from doit.cmd_list import List as DoitList

from bakehouse.app import overview
from bakehouse.app.cli import escape_what_cannot_be_shown, guarded
from bakehouse.app.workspace import open_workspace

_OF_TASKS = ("status", "private", "list_deps", "template")  # options of doit's own list, which say nothing of builds


class List(DoitList):  # type: ignore[misc]
    """`bakehouse list`: every build, one line each, with --quiet its name; `--all`, task names and other options as in doit."""

    doc_usage = "[--quiet]"
    doc_purpose = "list the builds (--all: every task)"

    def execute(self, params: Any, args: list[str]) -> int:
        """List builds from the plan alone; only what is about tasks has doit make them: four or more for each build."""
        if args or params["subtasks"] or any(params[name] for name in _OF_TASKS):
            return int(super().execute(params, args))
        escape_what_cannot_be_shown()
        return guarded(lambda: self._builds(bool(params["quiet"])), failed=3)

    def _builds(self, quiet: bool) -> int:
        workspace = open_workspace()
        if quiet:  # also what completion in a shell asks for
            print("\n".join(f"build:{build.name}" for build in workspace.plan.builds))
        else:
            print(overview.builds(workspace.plan, workspace.store))
        return 0
