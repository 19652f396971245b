"""doit commands of our own: run (asks first, and ends its children), list, plan, lint, schema, check, prune, compare.

Options of doit that would do nothing here, because truth is in the store, are refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from doit.cmd_base import DoitCmdBase
from doit.cmd_list import List as DoitList
from doit.cmd_run import Run as DoitRun
from rich.console import Console

from bakehouse.app import linting, overview, reach, selection
from bakehouse.app import maintenance as housekeeping
from bakehouse.app.cli import Options, Ours, escape_what_cannot_be_shown, open_kitchen, told
from bakehouse.app.tasks import Kitchen
from bakehouse.app.workspace import artifacts_folder, open_workspace, recipes_folder
from bakehouse.errors import Failure
from bakehouse.executor.session import Session
from bakehouse.package import compare
from bakehouse.package.manifest import PackageManifest
from bakehouse.plan.plan import Build
from bakehouse.recipe import schema
from bakehouse.stages import preflight
from bakehouse.store import files
from bakehouse.text import count_text, size_text

_HTML = {"name": "html", "long": "html", "type": str, "default": "", "help": "write a page with bar charts to this file instead"}
_PLAN_ONLY = {
    "name": "dry_run",
    "long": "dry-run",
    "type": bool,
    "default": False,
    "help": "of publish: only say what would change on the hub",
}
_OF_TASKS = ("status", "private", "list_deps", "template")  # options of doit's own list, which say nothing of builds
_DRY_RUN = {"name": "dry_run", "long": "dry-run", "type": bool, "default": False, "help": "only say what would be removed"}
_YES = {"name": "yes", "long": "yes", "type": bool, "default": False, "help": "drop packages without asking"}
_ALL_RECIPES = {
    "name": "all_recipes",
    "long": "all-recipes",
    "type": bool,
    "default": False,
    "help": "drop also what the recipes of other folders reach",
}


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
            kitchen.check(self.sel_tasks, keeps_going=bool(options["continue_"]))
            if self.sel_tasks != ["overview"]:
                reach.record(kitchen.workspace.plan, kitchen.workspace.recipes, kitchen.workspace.store)
            return kitchen.reporter.code(int(super()._execute(*args, **options)))
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
    """`doit list`: every build, one line each, with --quiet its name; `--all`, task names and other options as in doit."""

    doc_purpose = "list the builds (--all: every task)"

    def execute(self, params: Any, args: list[str]) -> int:
        """List builds from the plan alone; only what is about tasks has doit make them: four or more for each build."""
        if args or params["subtasks"] or any(params[name] for name in _OF_TASKS):
            return int(super().execute(params, args))
        escape_what_cannot_be_shown()
        return told(lambda: self._builds(bool(params["quiet"])), failed=3)

    def _builds(self, quiet: bool) -> int:
        workspace = open_workspace()
        if quiet:  # also what completion in a shell asks for
            print("\n".join(f"build:{build.name}" for build in workspace.plan.builds))
        else:
            print(overview.builds(workspace.plan, workspace.store))
        return 0


class Plan(Ours):
    """`doit plan [NAME...]`"""

    doc_purpose = "show the steps, which would run and why, and what they would take"
    doc_usage = "[NAME ...]"

    def _do(self, params: Any, args: list[str]) -> int:
        kitchen = open_kitchen()
        builds = selection.builds_named(args, kitchen.workspace.plan)
        print(text := overview.plan_text(builds, kitchen.session, kitchen.names))
        try:
            preflight.check([build for build in builds if args or build.cannot is None], kitchen.session)
        except Failure as failure:
            print("this would be refused before any work" if str(failure) in text else f"this would be refused before any work: {failure}")
            return 1
        return 0


class Lint(Ours):
    """`doit lint`"""

    doc_purpose = "check all recipes; every error of every file"
    doc_usage = ""

    def _do(self, params: Any, args: list[str]) -> int:
        workspace = open_workspace()
        linting.check(workspace, Session(workspace.store))
        plan = workspace.plan
        recipes = {build.asked.recipe for build in plan.builds}
        is_ = "is" if len(recipes) == 1 else "are"
        print(f"{count_text(len(recipes), 'recipe')} with {count_text(len(plan.builds), 'build')} {is_} well formed")
        for build in plan.builds:
            cannot = f"cannot be made on this machine: {build.cannot}" if build.cannot else ""
            for remark in filter(None, (build.asked.source.remark(), build.asked.options.remark(), cannot)):
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


class Check(Ours):
    """`doit check [NAME...]`"""

    doc_purpose = "hash everything in the store and the packages again"
    doc_usage = "[NAME ...]"

    def _do(self, params: Any, args: list[str]) -> int:
        kitchen = open_kitchen()
        report = housekeeping.check(selection.builds_named(args, kitchen.workspace.plan), kitchen.workspace.store, kitchen.names, print)
        print(f"{count_text(report.files, 'file')}, {size_text(report.size_bytes)} hashed: {len(report.faults) or 'none'} damaged")
        return 1 if report.faults else 0


class Prune(Ours):
    """`doit prune`"""

    doc_purpose = "drop what no recipe reaches: of this folder, or of another that doit has run with on this store"
    doc_usage = "[--dry-run] [--yes] [--all-recipes]"
    cmd_options = (_DRY_RUN, _YES, _ALL_RECIPES)

    def _do(self, params: Any, args: list[str]) -> int:
        if args:
            raise Failure(f"`doit prune` takes no names, and was given {', '.join(args)}", remedy="leave them out")
        workspace = open_workspace()
        own, store = reach.of(workspace.plan, workspace.recipes), workspace.store
        others = () if params["all_recipes"] else reach.others(workspace.recipes, store)
        packages = housekeeping.packages_to_drop(own, store, others)
        if packages and not params["dry_run"] and not params["yes"] and not _consents(packages, workspace.recipes):
            print("nothing was dropped")
            return 1
        freed = housekeeping.prune(own, store, others=others, dry_run=params["dry_run"], say=print)
        print(f"{size_text(freed)} {'would be freed' if params['dry_run'] else 'freed'} in {artifacts_folder()}")
        return 0


def _consents(packages: list[str], recipes: Path) -> bool:
    """Ask whether packages may go that our recipes do not reach: recipes that doit has not run with here since may.

    Raises:
        Failure: there is nobody to ask.
    """
    what = f"{count_text(len(packages), 'package')} that no recipe in {recipes} makes would be dropped"
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        remedy = "`doit prune --dry-run` shows all that would go, and `doit prune --yes` drops it"
        raise Failure(what, details=tuple(packages), remedy=remedy)
    print("\n".join((f"{what}:", *(f"    {name}" for name in packages))))
    return input("drop them? [y/N] ").strip().lower() in ("y", "yes")


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
