"""doit commands of our own: run (asks first, and ends its children), list, plan, lint, schema, verify, prune, compare.

Commands and options of doit that would do nothing here, because truth is in the store, are refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from doit.cmd_base import DoitCmdBase
from doit.cmd_forget import Forget as DoitForget
from doit.cmd_list import List as DoitList
from doit.cmd_run import Run as DoitRun
from rich.console import Console

from pipeline import compare, files, housekeeping, overview, schema, selection
from pipeline.cli import Options, Ours, open_kitchen, told
from pipeline.errors import Failure
from pipeline.manifest import PackageManifest
from pipeline.plan import Build
from pipeline.progress import count_text, size_text
from pipeline.tasks import Kitchen
from pipeline.workspace import artifacts_folder, open_workspace, recipes_folder

_HTML = {"name": "html", "long": "html", "type": str, "default": "", "help": "write a page with bar charts to this file instead"}
_PLAN_ONLY = {
    "name": "dry_run",
    "long": "dry-run",
    "type": bool,
    "default": False,
    "help": "of publish: only say what would change on the hub",
}
_DRY_RUN = {"name": "dry_run", "long": "dry-run", "type": bool, "default": False, "help": "only say what would be removed"}


class Run(Options, DoitRun):  # type: ignore[misc]
    """`doit run`, the default: builds are checked before any work, and no child outlives an interrupt."""

    cmd_options = (*DoitRun.cmd_options, _PLAN_ONLY)

    def execute(self, params: Any, args: list[str]) -> int:
        """Run the tasks; exit codes 0 well, 1 a task failed, 2 a task broke, 3 it could not begin, 130 interrupted."""
        self.dry_run = bool(params["dry_run"])
        return told(lambda: int(super(Run, self).execute(params, args)), failed=3)

    @wraps(DoitRun._execute)  # doit reads the signature to know which options to pass
    def _execute(self, *args: Any, **options: Any) -> int:
        _refuse_idle(options)
        kitchen = _kitchen(self)
        self.sel_tasks: list[str] = selection.expanded(list(self.sel_tasks), [task.name for task in self.task_list], kitchen.workspace.plan)
        try:
            if self.dry_run:
                for build in _publications(self.sel_tasks, kitchen):
                    print(kitchen.plan_publication(build))
                return 0
            kitchen.foresee(self.sel_tasks)
            kitchen.supply(self.sel_tasks)
            kitchen.check(self.sel_tasks)
            return int(super()._execute(*args, **options))
        finally:
            kitchen.session.children.stop()


def _kitchen(command: DoitCmdBase) -> Kitchen:
    """The kitchen of the dodo.py that doit has loaded."""
    kitchen = next((task.meta["kitchen"] for task in command.task_list if task.name == "overview"), None)
    assert isinstance(kitchen, Kitchen)
    return kitchen


def _refuse_idle(options: Mapping[str, Any]) -> None:
    """Refuse options of doit that would not do here what they say.

    Raises:
        Failure: with what to do instead.
    """
    if options["always"]:
        raise Failure(
            "-a would make nothing again: what is whole in the store is not made twice",
            remedy="`doit clean NAME` forgets a result, and `doit NAME` makes it again",
        )
    if options["par_type"] != "thread":
        raise Failure(
            f"-P {options['par_type']} would wait for ever for a step that is killed (pydoit/doit#461)",
            remedy="leave it out: with -n steps run side by side, each in a child process of its own",
        )


class List(DoitList):  # type: ignore[misc]
    """`doit list`: every build, one line each; `--all` and task names as in doit."""

    doc_purpose = "list the builds (--all: every task)"

    @wraps(DoitList._execute)
    def _execute(self, subtasks: bool = False, pos_args: Any = None, **options: Any) -> int:
        if subtasks or pos_args:
            return int(super()._execute(subtasks=subtasks, pos_args=pos_args, **options))
        workspace = _kitchen(self).workspace
        print(overview.builds(workspace.plan, workspace.store))
        return 0


class Plan(Ours):
    """`doit plan [NAME...]`"""

    doc_purpose = "show the steps, which would run and why, and what they would take"
    doc_usage = "[NAME ...]"

    def _do(self, params: Any, args: list[str]) -> int:
        kitchen = open_kitchen()
        print(overview.plan_text(selection.builds_named(args, kitchen.workspace.plan), kitchen.session, kitchen.names))
        return 0


class Lint(Ours):
    """`doit lint`"""

    doc_purpose = "check all recipes; every error of every file"
    doc_usage = ""

    def _do(self, params: Any, args: list[str]) -> int:
        plan = open_workspace().plan
        recipes = {build.asked.recipe for build in plan.builds}
        is_ = "is" if len(recipes) == 1 else "are"
        print(f"{count_text(len(recipes), 'recipe')} with {count_text(len(plan.builds), 'build')} {is_} well formed")
        for build in plan.builds:
            for remark in filter(None, (build.asked.source.remark(), build.asked.options.remark())):
                print(f"  {build.name}: {remark}")
        return 0


class Schema(Ours):
    """`doit schema`"""

    doc_purpose = "write the recipes' JSON Schema for editors and the table of their fields"
    doc_usage = ""

    def _do(self, params: Any, args: list[str]) -> int:
        for path in schema.write(recipes_folder()):
            print(path)
        return 0


class Verify(Ours):
    """`doit verify [NAME...]`"""

    doc_purpose = "hash everything in the store and the packages again"
    doc_usage = "[NAME ...]"

    def _do(self, params: Any, args: list[str]) -> int:
        kitchen = open_kitchen()
        report = housekeeping.verify(selection.builds_named(args, kitchen.workspace.plan), kitchen.workspace.store, kitchen.names, print)
        print(f"{count_text(report.files, 'file')}, {size_text(report.size_bytes)} hashed: {len(report.faults) or 'none'} damaged")
        return 1 if report.faults else 0


class Prune(Ours):
    """`doit prune`"""

    doc_purpose = "drop what no recipe reaches"
    doc_usage = ""
    cmd_options = (_DRY_RUN,)

    def _do(self, params: Any, args: list[str]) -> int:
        workspace = open_workspace()
        freed = housekeeping.prune(workspace.plan, workspace.store, dry_run=params["dry_run"], say=print)
        print(f"{size_text(freed)} {'would be freed' if params['dry_run'] else 'freed'} in {artifacts_folder()}")
        return 0


class Forget(Ours):
    """`doit forget`, refused"""

    doc_purpose = "refused: nothing is remembered but what is in the store; see `doit clean`"
    doc_usage = "[TASK ...]"
    cmd_options = DoitForget.cmd_options

    def _do(self, params: Any, args: list[str]) -> int:
        raise Failure(
            "doit remembers nothing that it could forget: what is made is in the store",
            remedy=f"`doit clean {' '.join(args) or 'NAME'}` forgets a result, so that the next build makes it again",
        )


class Ignore(Ours):
    """`doit ignore`, refused"""

    doc_purpose = "refused: a build has no step that it could do without"
    doc_usage = "TASK ..."

    def _do(self, params: Any, args: list[str]) -> int:
        raise Failure(
            "nothing can be ignored: a package is made of all its steps",
            remedy="name the builds that you want, or take the others out of their recipe",
        )


class Compare(Ours):
    """`doit compare NAME NAME...`"""

    doc_purpose = "show packages side by side: size, bits, agreement with the source, answers"
    doc_usage = "NAME NAME ..."
    cmd_options = (_HTML,)

    def _do(self, params: Any, args: list[str]) -> int:
        kitchen = open_kitchen()
        single = {one.name: one for build in selection.builds_named(args, kitchen.workspace.plan) for one in build.members or (build,)}
        rows = [compare.row(_built(build, kitchen)) for build in single.values() if args or _is_built(build, kitchen)]
        if not rows:
            raise Failure("nothing is built yet, so there is nothing to compare", remedy="`doit list` shows the builds")
        if params["html"]:
            files.write(Path(params["html"]), compare.page(rows))
            print(params["html"])
            return 0
        for table in compare.tables(rows):
            Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(table)
        return 0


def _is_built(build: Build, kitchen: Kitchen) -> bool:
    return kitchen.workspace.store.is_published(build.package, build.name)


def _built(build: Build, kitchen: Kitchen) -> PackageManifest:
    """The manifest of a build's package.

    Raises:
        Failure: it is not built, or what is there was made from another recipe.
    """
    manifest = overview.read_manifest(build.name, kitchen.workspace.store)
    if manifest is None or not _is_built(build, kitchen):
        raise Failure(f"{build.name} is not built as its recipe is now", remedy=f"`doit build:{build.name}` makes it")
    return manifest


def _publications(names: Iterable[str], kitchen: Kitchen) -> list[Build]:
    """The builds whose publication is to be planned.

    Raises:
        Failure: another task is selected.
    """
    wanted = list(names)
    if others := [name for name in wanted if not name.startswith("publish:")]:
        raise Failure(
            f"--dry-run is for publishing, and not for {', '.join(others)}", remedy="`doit plan NAME` shows what a build would do"
        )
    return [build for build in selection.builds_of(wanted, kitchen.workspace.plan, "publish") if build.destination]
