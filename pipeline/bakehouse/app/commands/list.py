"""`bakehouse list`."""

from __future__ import annotations

from typing import Any

from doit.cmd_list import List as DoitList
from doit.exceptions import InvalidCommand

from bakehouse.app import overview
from bakehouse.app.cli import JSON, Options, guarded
from bakehouse.app.screen import escape_what_cannot_be_shown, show
from bakehouse.app.workspace import open_workspace
from bakehouse.errors import Failure

_OF_TASKS = ("status", "private", "list_deps", "template")  # options of doit's own list, which say nothing of builds


class List(Options, DoitList):  # type: ignore[misc]
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
            return guarded(lambda: self._tasks(params, args), failed=3)
        escape_what_cannot_be_shown()
        return guarded(lambda: self._builds(bool(params["quiet"]), as_json=as_json), failed=3, as_json=as_json)

    def _tasks(self, params: Any, args: list[str]) -> int:
        try:
            return int(super().execute(params, args))
        except InvalidCommand as error:
            remedy = "`bakehouse list` alone lists the builds, `bakehouse plan NAME` the steps of one"
            raise Failure(str(error), remedy=remedy) from error
        except (KeyError, IndexError, ValueError) as error:
            if not params["template"]:
                raise
            remedy = "it may have {name}, {doc} and {status} in it, as `doit help list` says"
            raise Failure(f"--template {params['template']!r} cannot be filled in", remedy=remedy) from error

    def _builds(self, quiet: bool, *, as_json: bool) -> int:
        workspace = open_workspace()
        if as_json:
            from bakehouse.app import documents, to_json

            print(documents.text(to_json.listing(workspace.plan, workspace.store)))
        elif quiet:  # also what completion in a shell asks for
            print("\n".join(f"build:{build.name}" for build in workspace.plan.builds))
        else:
            print(overview.builds(workspace.plan, workspace.store, overview.window()))
        return 0
