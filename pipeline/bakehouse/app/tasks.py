"""The plan as doit tasks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from doit.exceptions import TaskFailed
from rich.console import Group

from bakehouse.app import overview, results_table, selection
from bakehouse.app.attempts import Attempts
from bakehouse.app.expected import Expected
from bakehouse.app.progress import Reporter
from bakehouse.app.screen import escape_what_cannot_be_shown
from bakehouse.app.workspace import Workspace, open_workspace
from bakehouse.errors import Failure
from bakehouse.executor.listen import Progress
from bakehouse.executor.process import Children
from bakehouse.executor.session import Session
from bakehouse.executor.shared_store import Remote
from bakehouse.package import signing
from bakehouse.plan.plan import Build, Plan
from bakehouse.publish import report as publication
from bakehouse.publish import upload as publish
from bakehouse.publish.upload import Outcome
from bakehouse.stages import preflight
from bakehouse.stages.preflight import SingleStep
from bakehouse.steps.step import Step

if TYPE_CHECKING:
    from bakehouse.app.on_cluster import OnCluster

Task = dict[str, Any]


@dataclass(frozen=True)
class Making:
    """How the steps of a run are made: whether one is there, and what makes one that is not."""

    has: Callable[[Step], bool]
    make: Callable[[Step], None]


def of(plan: Plan, session: Session, known: dict[str, str], group: str, attempts: Attempts, making: Making) -> Iterator[Task]:
    """The tasks of one group: the group itself, then a task a step (for `build`: a task a build)."""
    yield {"basename": group, "name": None, "doc": _DOCS[group]}
    if group == "build":
        yield from (_build(build, session, known, attempts) for build in plan.builds)
    else:
        yield from (_step(step, plan, session, known, attempts, making) for step in plan.steps if selection.group_of(step) == group)


_DOCS = {
    "setup": "what a backend needs besides this environment: compilers, environments of its own",
    "download": "fetch the source models, pinned",
    "export": "import and export them, once for all builds",
    "convert": "quantize, and compare the result with the recipe",
    "validate": "generate from the golden prompts in the real runtime",
    "package": "join what passed to what will be published",
    "build": "all of it: every build that this machine can make",
    "publish": "bring packages to where their recipes publish them",
    "sign": "sign a copy of a package",
}


def _step(step: Step, plan: Plan, session: Session, known: dict[str, str], attempts: Attempts, making: Making) -> Task:
    group, _, name = known[step.key].partition(":")
    return {
        "basename": group,
        "name": name,
        "doc": f"{step.kind} of {step.label}",
        "actions": [(run, [step, attempts, making.make])],
        "uptodate": [(making.has, [step])],
        # setup and not task_dep: what is whole does not ask for what it once was made from
        "setup": [known[needed.key] for needed in step.reads],
        "clean": [(forget, [step, plan, session, known])],
        "meta": {"step": step},
    }


def _build(build: Build, session: Session, known: dict[str, str], attempts: Attempts) -> Task:
    return {
        "basename": "build",
        "name": build.name,
        "doc": build.resolved.description if build.cannot is None else f"not on this machine: {build.cannot}",
        "actions": [(put, [build, session, attempts])],
        "uptodate": [(session.store.is_exposed, [build.package, build.name])],
        "setup": [known[build.package.key]],
        "clean": [(session.store.withdraw, [build.name])],
        "meta": {"build": build},
    }


def run(step: Step, attempts: Attempts, make: Callable[[Step], None], task: Any) -> TaskFailed | None:
    """The action of a step's task."""
    return attempts.step(step, task, lambda: make(step))


def put(build: Build, session: Session, attempts: Attempts, task: Any) -> TaskFailed | None:
    """The action of a build's task: its package under its name."""
    return attempts.task(task, lambda: session.store.expose(build.package, build.name, lambda: None))


def sign(build: Build, session: Session, attempts: Attempts, task: Any) -> TaskFailed | None:
    """The action of a signature's task."""
    return attempts.task(task, lambda: print(signing.sign(build.package, build.name, session)))


def forget(step: Step, plan: Plan, session: Session, known: dict[str, str]) -> None:
    """Clean a step's task: forget the step, and the packages with it in them, else nothing would ask for it again."""
    packages = [one for one in plan.steps if one.kind == "package" and step in one.closure()]
    for one in dict.fromkeys((step, *packages)):
        if session.store.folder(one).exists():
            session.store.drop(one)
            print(f"forgotten  {known[one.key]}")


class Harness:
    """One run of doit: the workspace, its session, and the reporter that both of them tell."""

    def __init__(self, workspace: Workspace, stream: TextIO) -> None:
        self.workspace = workspace
        self.names = selection.names(workspace.plan)
        self.attempts = Attempts()
        self._known, self._steps, self._jobs = Expected(workspace.store), tuple[Step, ...](), 1
        self.reporter = Reporter(stream, self._summary, self.attempts.tries, self._expected, self._left)
        children = Children()
        self.remote = Remote(workspace.store, children)
        self.session = Session(workspace.store, children, tell=self._tell, made=self._made)
        self._checked: tuple[list[Build], list[SingleStep]] = ([], [])
        self._keeps_going = False
        self.cluster: OnCluster | None = None  # where steps are made, if not here

    def refuse_cluster(self, address: str) -> None:
        """Refuse a cluster that could not be worked with, before anything else.

        Raises:
            Failure: with the reason.
        """
        from bakehouse.app import on_cluster

        on_cluster.refuse(address, self.remote)

    def send_to(self, address: str) -> int:
        """Have a cluster make what the tasks need that were checked, and return how many steps it is to make at most at once.

        Raises:
            Failure: there is no shared store or no cluster, or none of its workers can take a step.
        """
        from bakehouse.app.on_cluster import OnCluster  # here, because it imports all that makes steps

        roots = [*(one.package for one in self._checked[0]), *(one.step for one in self._checked[1])]
        self.cluster = OnCluster(self.workspace.plan, self.session, self.remote, self.names)
        self.cluster.prepare(address, [step for step in roots if not self.attempts.is_refused(step)], print)
        self._steps = ()  # how long others take is not known
        self.reporter.expect(self.cluster.number)
        return self.cluster.width

    def end(self) -> None:
        """End what still runs."""
        self.session.children.stop()
        if self.cluster:
            self.cluster.close()

    def supply(self, selected: Iterable[str]) -> None:
        """Bring here what the remote has of the selected tasks, before any of them runs.

        Raises:
            Failure: what the remote has is corrupt, or PIPELINE_REMOTE is no place that can be used.
        """
        wanted, plan = list(selected), self.workspace.plan
        builds = selection.builds_of(wanted, plan, *selection.BUILD_GROUPS)
        self.remote.supply([*(build.package for build in builds), *selection.steps_of(wanted, plan)], print)

    def check(self, selected: Iterable[str], *, keeps_going: bool = False, jobs: int = 1, elsewhere: bool = False) -> None:
        """Refuse before any work what cannot succeed on this machine: builds, and steps that are named by themselves.

        A run that `keeps_going` has only what is refused fail, and makes the rest. What is made `elsewhere`, on a cluster, needs neither
        tools nor room of this machine.

        Raises:
            Failure: with the reasons.
        """
        wanted, plan = list(selected), self.workspace.plan
        builds = selection.builds_of(wanted, plan, *selection.BUILD_GROUPS)
        singles = [SingleStep(step, selection.builds_after(step, plan)) for step in selection.steps_of(wanted, plan)]
        self._checked, self._keeps_going = (builds, singles), keeps_going
        self._check(builds, singles, elsewhere=elsewhere)
        self._steps, self._jobs = preflight.missing(builds, self.session.store, singles), jobs
        self.reporter.expect(len(self._steps))

    def _check(self, builds: list[Build], singles: list[SingleStep], *, elsewhere: bool = False) -> None:
        refused = preflight.refusals(builds, self.session, singles, elsewhere=elsewhere) if self._keeps_going else []
        out = {step.key for step, _ in refused}
        left = [one for one in builds if one.package.key not in out], [one for one in singles if one.step.key not in out]
        if len(refused) == 1 and not any(left):  # there is nothing else that could go on
            left = builds, singles
        else:
            everything = (*(one.package for one in self._checked[0]), *(one.step for one in self._checked[1]))
            self.attempts.refuse(refused, (step for step in everything if step.key not in out))
        preflight.check(left[0], self.session, left[1], elsewhere=elsewhere)

    def _made(self, step: Step) -> None:
        """Share a step that was made; and check once more what is made of a checkpoint when it is here, and all about it is known.

        Raises:
            Failure: as `check`.
        """
        self.remote.keep(step)
        builds, singles = self._checked
        made_of_it = [build for build in builds if build.checkpoint.key == step.key]
        later = [one for one in singles if any(build.checkpoint.key == step.key for build in one.builds)]
        if made_of_it or later:
            self._check(made_of_it, later)

    def foresee(self, selected: Iterable[str]) -> None:
        """Refuse before any work what would be refused after it: a signer or a token that is missing, a build that may not be published.

        Raises:
            Failure: with the reason.
        """
        wanted, plan = list(selected), self.workspace.plan
        publications = [build for build in selection.builds_of(wanted, plan, "publish") if build.destination]
        preflight.check_leaving(publications, selection.builds_of(wanted, plan, "sign"), self.session)
        for build in publications:
            if build.destination and preflight.missing([build], self.session.store):  # else it is asked at once anyway
                publish.check_token(build.name, build.destination, self.session)

    def group(self, group: str) -> Iterator[Task]:
        """The tasks of one group."""
        return of(self.workspace.plan, self.session, self.names, group, self.attempts, Making(self._has, self._make))

    def _has(self, step: Step) -> bool:
        return self.cluster.has(step) if self.cluster else self.session.store.has(step)

    def _make(self, step: Step) -> None:
        if self.cluster:
            self.cluster.make(step)
            return
        from bakehouse.stages import dispatch  # here, because a package that is built needs no stage

        dispatch.run(step, self.session)
        self.session.made(step)

    def signatures(self) -> Iterator[Task]:
        """A task for each build: a copy of its package with a signature next to the files."""
        yield {"basename": "sign", "name": None, "doc": _DOCS["sign"]}
        for build in self.workspace.plan.builds:
            yield {
                "basename": "sign",
                "name": build.name,
                "doc": "to artifacts/signed, as PIPELINE_SIGN says",
                "actions": [(sign, [build, self.session, self.attempts])],
                "uptodate": [(signing.is_signed, [build.package, build.name, self.session])],
                "setup": [f"build:{build.name}"],
                "meta": {"build": build},
            }

    def publications(self) -> Iterator[Task]:
        """A task for each build that its recipe publishes. It asks the hub every time, and sends what is not there."""
        yield {"basename": "publish", "name": None, "doc": _DOCS["publish"]}
        for build in self.workspace.plan.builds:
            if build.destination is not None:
                yield {
                    "basename": "publish",
                    "name": build.name,
                    "doc": f"to {build.destination.repo}",
                    "actions": [(self._publish, [build])],
                    "setup": [f"sign:{build.name}" if build.destination.sign or signing.wanted() else f"build:{build.name}"],
                    "meta": {"build": build},
                }

    def plan_publication(self, build: Build) -> str:
        """What publishing a build would change, as text.

        Raises:
            Failure: it is not built, not published by its recipe, or the hub cannot be asked.
        """
        return publication.text(self._published(build, dry_run=True))

    def _publish(self, build: Build, task: Any) -> TaskFailed | None:
        return self.attempts.task(task, lambda: print(publication.text(self._published(build, dry_run=False))))

    def _published(self, build: Build, *, dry_run: bool) -> Outcome:
        if build.destination is None:
            raise Failure(
                f"the recipe does not say where {build.name} is published", remedy=f"add it to `publish` of {build.resolved.recipe}.yaml"
            )
        task = f"publish:{build.name}"
        signature = signing.signature(build.package, build.name, self.session)
        return publish.run(
            build.name,
            build.package,
            build.destination,
            self.session,
            signed=(signing.folder(build.name, self.session), signature) if signature else None,
            dry_run=dry_run,
            tell=lambda progress: self.reporter.tell(task, progress),
        )

    def overview(self) -> Task:
        """The task that bare `doit` runs: it never starts a download."""
        return {"actions": [(self._welcome, [])], "clean": [(self._explain_cleaning, [])], "meta": {"harness": self}}

    def _welcome(self) -> None:
        print(overview.welcome(self.workspace.plan, self.workspace.store))

    def _explain_cleaning(self) -> None:
        print(CLEANING)

    def _tell(self, step: Step, progress: Progress) -> None:
        if name := self.names.get(step.key):  # a survey is made before any task runs, and has no task
            self.reporter.tell(name, progress)

    def _expected(self, task: Any) -> float | None:
        step = (task.meta or {}).get("step")
        return self._known.seconds(step) if step else None

    def _left(self, running: Mapping[str, float]) -> float | None:
        """How many seconds the rest of the run may take, given the tasks that run and for how long."""
        left = [step for step in self._steps if not self.session.store.has(step)]
        return self._known.left(left, {step.key: running[name] for step in left if (name := self.names[step.key]) in running}, self._jobs)

    def _summary(self, selected: list[str], spans: dict[str, tuple[float, float]], total_s: float) -> Group | None:
        if text := self.remote.not_kept:
            self.reporter.note(text)
        chosen = [build for build in self.workspace.plan.builds if f"build:{build.name}" in selected]
        return results_table.summary(
            chosen, self.workspace.store, self.names, spans, total_s, lambda build: self.attempts.why(build, self.names)
        )


def open_harness() -> Harness:
    """The harness that dodo.py serves from.

    Raises:
        Failure: the recipes cannot be read.
    """
    escape_what_cannot_be_shown()
    return Harness(open_workspace(), sys.stdout)


CLEANING = """nothing was removed: say what to clean
  bakehouse clean NAME            takes a package away; the store keeps what it is made of
  bakehouse clean convert:NAME    forgets one result and the packages with it in them, so that the next build makes them again
  bakehouse prune                 frees what no recipe uses"""
