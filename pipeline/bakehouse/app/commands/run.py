"""`doit run`, the default."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from doit.cmd_base import DoitCmdBase
from doit.cmd_run import Run as DoitRun

from bakehouse.app import reach, selection
from bakehouse.app.cli import Options, guarded, option
from bakehouse.app.tasks import Harness
from bakehouse.errors import Failure
from bakehouse.plan.plan import Build

CLUSTER_HELP = "have the steps made by the workers of this scheduler, tls://HOST:PORT (default: PIPELINE_CLUSTER, or here)"


class Run(Options, DoitRun):  # type: ignore[misc]
    """`doit run`, the default: builds are checked before any work, and no child outlives an interrupt."""

    cmd_options = (
        *DoitRun.cmd_options,
        option("dry-run", "of publish: only say what would change on the hub", bool, False),
        option("cluster", CLUSTER_HELP),
    )

    def execute(self, params: Any, args: list[str]) -> int:
        """Run the tasks; exit codes 0 well, 1 a task failed, 2 a task broke, 3 it could not begin, 130 interrupted."""
        self.dry_run = bool(dict(params).get("dry_run"))
        self.cluster = str(dict(params).get("cluster") or os.environ.get("PIPELINE_CLUSTER") or "")
        return guarded(lambda: int(super(Run, self).execute(params, args)), failed=3)

    @wraps(DoitRun._execute)  # doit reads the signature to know which options to pass
    def _execute(self, *args: Any, **options: Any) -> int:
        _refuse_idle(options)
        harness = _harness(self)
        if self.sel_tasks == ["overview"]:
            self.cluster = ""  # which only looks
        self.sel_tasks: list[str] = selection.expanded(list(self.sel_tasks), [task.name for task in self.task_list], harness.workspace.plan)
        try:
            if self.dry_run:
                for build in _publications(self.sel_tasks, harness):
                    print(harness.plan_publication(build))
                return 0
            if self.cluster:
                _refuse_jobs(options)
                harness.refuse_cluster(self.cluster)
            harness.foresee(self.sel_tasks)
            if not self.cluster:
                harness.supply(self.sel_tasks)
            jobs, elsewhere = max(1, int(options["num_process"])), bool(self.cluster)
            harness.check(self.sel_tasks, keeps_going=bool(options["continue_"]), jobs=jobs, elsewhere=elsewhere)
            if self.sel_tasks != ["overview"]:
                reach.record(harness.workspace.plan, harness.workspace.recipes, harness.workspace.store)
            if self.cluster:
                options["num_process"] = harness.send_to(self.cluster)
            return harness.reporter.code(int(super()._execute(*args, **options)))
        finally:
            harness.end()


def _harness(command: DoitCmdBase) -> Harness:
    """The harness of the dodo.py that doit has loaded."""
    harness = next((task.meta["harness"] for task in command.task_list if task.name == "overview"), None)
    assert isinstance(harness, Harness)
    return harness


def _refuse_idle(options: Mapping[str, object]) -> None:
    """Refuse options of doit that would not do here what they say.

    Raises:
        Failure: with what to do instead.
    """
    if options["always"]:
        raise Failure(
            "-a would make nothing again: what is whole in the store is not made twice",
            remedy="`bakehouse clean NAME` forgets a result, and `bakehouse build NAME` makes it again",
        )
    if isinstance(path := options["outfile"], str) and not Path(path).absolute().parent.is_dir():
        raise Failure(f"the folder of {path} does not exist", where="--output-file", remedy="name a file in a folder that exists")
    if options["par_type"] != "thread":
        raise Failure(
            f"-P {options['par_type']} would wait for ever for a step that is killed (pydoit/doit#461)",
            remedy="leave it out: with -n steps run side by side, each in a child process of its own",
        )


def _refuse_jobs(options: Mapping[str, object]) -> None:
    """Refuse -n with a cluster.

    Raises:
        Failure: it is given.
    """
    if options["num_process"]:
        raise Failure("-n says how many steps this machine makes at once, and on a cluster it makes none", remedy="leave it out")


def _publications(names: Iterable[str], harness: Harness) -> list[Build]:
    """The builds whose publication is to be planned.

    Raises:
        Failure: another task is selected.
    """
    wanted = list(names)
    if others := [name for name in wanted if not name.startswith("publish:")]:
        raise Failure(
            f"--dry-run is for publishing, and not for {', '.join(others)}", remedy="`bakehouse plan NAME` shows what a build would do"
        )
    return [build for build in selection.builds_of(wanted, harness.workspace.plan, "publish") if build.destination]
