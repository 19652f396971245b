"""`bakehouse list`."""

from __future__ import annotations

from typing import Any

from doit.cmd_list import List as DoitList

from bakehouse.app import overview
from bakehouse.app.cli import JSON, escape_what_cannot_be_shown, guarded, show
from bakehouse.app.workspace import open_workspace
from bakehouse.errors import Failure

_OF_TASKS = ("status", "private", "list_deps", "template")  # options of doit's own list, which say nothing of builds


class List(DoitList):  # type: ignore[misc]
    """`bakehouse list`: every build, one line each, with --quiet its name; `--all`, task names and other options as in doit."""

    doc_usage = "[--quiet | --json]"
    cmd_options = (*DoitList.cmd_options, JSON)
    doc_purpose = "list the builds (--all: every task)"

    def execute(self, params: Any, args: list[str]) -> int:
        """List builds from the plan alone; only what is about tasks has doit make them: four or more for each build."""
        as_json = bool(params["json"])
        if args or params["subtasks"] or any(params[name] for name in _OF_TASKS):
            if as_json:
                return show(Failure("--json lists builds, and not tasks", remedy="leave out what comes with it"), 3, as_json=True)
            return int(super().execute(params, args))
        escape_what_cannot_be_shown()
        return guarded(lambda: self._builds(bool(params["quiet"]), as_json=as_json), failed=3, as_json=as_json)

    def _builds(self, quiet: bool, *, as_json: bool) -> int:
        workspace = open_workspace()
        if as_json:
            from bakehouse.app import documents, to_json

            print(documents.text(to_json.listing(workspace.plan, workspace.store)))
        elif quiet:  # also what completion in a shell asks for
            print("\n".join(f"build:{build.name}" for build in workspace.plan.builds))
        else:
            print(overview.builds(workspace.plan, workspace.store))
        return 0
