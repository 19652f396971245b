"""`bakehouse build`, `sign`, `publish` and `clean`: doit's run and clean with names of builds in place of names of tasks."""

from __future__ import annotations

import io
from typing import Any

from doit.cmd_clean import Clean as DoitClean
from doit.cmd_run import Run as DoitRun
from doit.exceptions import InvalidCommand

from bakehouse.app import selection
from bakehouse.app.cli import Options, guarded, option
from bakehouse.app.commands.run import CLUSTER_HELP, Run
from bakehouse.app.tasks import CLEANING
from bakehouse.app.workspace import open_workspace
from bakehouse.errors import Failure


class _OfGroup(Run):
    """Run the tasks of one group; without names all of it."""

    group = ""
    doc_usage = "[NAME ...]"

    def execute(self, params: Any, args: list[str]) -> int:
        """Carry it out for builds, recipes (all their builds) or patterns; exit codes as of `Run`."""
        return super().execute(params, [in_group(self.group, name) for name in args] or [self.group])


def in_group(group: str, name: str) -> str:
    """The task of a group for a build's name; a task's name stays."""
    return name if ":" in name else f"{group}:{name}"


class Build(_OfGroup):
    """`bakehouse build [NAME...]`"""

    name = group = "build"
    cmd_options = (*DoitRun.cmd_options, option("cluster", CLUSTER_HELP))
    doc_purpose = "make builds: download, convert, validate, package"


class Sign(_OfGroup):
    """`bakehouse sign [NAME...]`"""

    name = group = "sign"
    cmd_options = DoitRun.cmd_options
    doc_purpose = "sign a copy of a package"


class Publish(_OfGroup):
    """`bakehouse publish [NAME...]`"""

    name = group = "publish"
    doc_purpose = "bring packages to where their recipes publish them"


class Clean(Options, DoitClean):  # type: ignore[misc]
    """`bakehouse clean NAME...`"""

    doc_purpose = "forget results, so that the next build makes them again"
    doc_usage = "[NAME ...]"

    def execute(self, params: Any, args: list[str]) -> int:
        """Take packages away, or with a task's name forget a step's result."""
        if not args and not params["cleanall"]:
            print(CLEANING)
            return 0
        self.outstream = io.StringIO()  # doit's lines, which name our functions
        return guarded(lambda: self._cleaned(params, [in_group("build", name) for name in args]), failed=3)

    def _cleaned(self, params: Any, tasks: list[str]) -> int:
        try:
            super().execute(params, tasks)
        except InvalidCommand:  # as is a recipe's name, which stands for its builds
            super().execute(params, _expanded(tasks))
        print(f"cleaned  {' '.join(tasks) or 'everything'}")
        return 0


def _expanded(tasks: list[str]) -> list[str]:
    """The tasks that the names of builds and recipes stand for.

    Raises:
        Failure: a name is none; with what may be meant.
    """
    plan = open_workspace().plan
    known = [*(f"build:{build.name}" for build in plan.builds), *selection.names(plan).values()]
    try:
        return selection.expanded(tasks, known, plan)
    except Failure as failure:
        raise Failure(failure.what, remedy=failure.remedy.replace("`bakehouse build ", "`bakehouse clean ")) from failure
