"""`bakehouse build`, `sign`, `publish` and `clean`: doit's run and clean with names of builds in place of names of tasks."""

from __future__ import annotations

from typing import Any

from doit.cmd_clean import Clean as DoitClean
from doit.cmd_run import Run as DoitRun

from bakehouse.app.cli import Options, guarded
from bakehouse.app.commands.run import Run


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
    cmd_options = DoitRun.cmd_options
    doc_purpose = "make builds: download, convert, prove, package"


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
        return guarded(lambda: int(super(Clean, self).execute(params, [in_group("build", name) for name in args]) or 0), failed=3)
