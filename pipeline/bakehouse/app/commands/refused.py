"""Commands of doit that make no sense here, as truth is in the store and work in child processes: refused, with what to type instead."""

from __future__ import annotations

from typing import Any, ClassVar

from doit.cmd_dumpdb import DumpDB as DoitDumpDB
from doit.cmd_forget import Forget as DoitForget
from doit.cmd_info import Info as DoitInfo
from doit.cmd_resetdep import ResetDep as DoitResetDep
from doit.cmd_strace import Strace as DoitStrace

from bakehouse.app.cli import Ours
from bakehouse.app.commands.check import Check
from bakehouse.errors import Failure


class Refused(Ours):
    """A command that is refused; in its `remedy`, {names} are the names that it was given and {build} is the first without its task."""

    what: ClassVar[str]
    remedy: ClassVar[str]

    def _do(self, params: Any, args: list[str]) -> int:
        build = args[0].partition(":")[2] or args[0] if args else "NAME"
        raise Failure(self.what, remedy=self.remedy.format(names=" ".join(args) or "NAME", build=build))


class Forget(Refused):
    """`doit forget`, refused"""

    doc_purpose = "refused: nothing is remembered but what is in the store; see `bakehouse clean`"
    doc_usage = "[TASK ...]"
    cmd_options = DoitForget.cmd_options
    what = "doit remembers nothing that it could forget: what is made is in the store"
    remedy = "`bakehouse clean {names}` forgets a result, so that the next build makes it again"


class Ignore(Refused):
    """`doit ignore`, refused"""

    doc_purpose = "refused: a build has no step that it could do without"
    doc_usage = "TASK ..."
    what = "nothing can be ignored: a package is made of all its steps"
    remedy = "name the builds that you want, or take the others out of their recipe"


class Info(Refused):
    """`doit info`, refused"""

    doc_purpose = "refused: see `bakehouse plan` and `bakehouse list --all`"
    doc_usage = "TASK"
    cmd_options = DoitInfo.cmd_options
    what = "doit knows no more of a task than its name: what it is made from is in the plan"
    remedy = "`bakehouse plan {build}` shows the steps of a build, which of them exist and why the rest would run"


class DumpDB(Refused):
    """`doit dumpdb`, refused"""

    doc_purpose = "refused: doit's database is empty here"
    doc_usage = ""
    cmd_options = DoitDumpDB.cmd_options
    what = "doit keeps no database here: what is made is in the store"
    remedy = "`bakehouse plan` shows what exists; each folder of the store has a manifest.json"


class ResetDep(Refused):
    """`doit reset-dep`, refused"""

    doc_purpose = "refused: a step's key is made from what it needs, and cannot be set"
    doc_usage = "[TASK ...]"
    cmd_options = DoitResetDep.cmd_options
    name = "reset-dep"
    what = "what a step was made from cannot be declared anew: it is in the step's key"
    remedy = "`bakehouse plan NAME` shows what would run and why"


class Strace(Refused):
    """`doit strace`, refused"""

    doc_purpose = "refused: the work is done in child processes, whose commands are in their logs"
    doc_usage = "TASK"
    cmd_options = DoitStrace.cmd_options
    what = "tracing doit would not show the work, which is done in child processes"
    remedy = "log.txt in a step's folder of the store begins with its command: trace that"


class Verify(Refused):
    """`doit verify`, refused"""

    doc_purpose = "refused: it is called `bakehouse check`"
    doc_usage = "[NAME ...]"
    cmd_options = Check.cmd_options
    what = "The command is now called `bakehouse check`."
    remedy = "Type `bakehouse check {names}`, or `bakehouse check DIR` for a package from elsewhere."
