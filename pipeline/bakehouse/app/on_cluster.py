"""The steps of a run on a cluster: what the shared store lacks is asked for before the first task, and the tasks wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from bakehouse.app.commands.worker import need_store
from bakehouse.cluster import capacity, connection, request
from bakehouse.cluster.engine import Cluster, Failed, Task
from bakehouse.cluster.waiting import insist
from bakehouse.errors import Failure
from bakehouse.executor.listen import Progress
from bakehouse.executor.session import Session
from bakehouse.executor.shared_store import Remote
from bakehouse.formats.checkpoint import Survey
from bakehouse.plan.plan import Build, Plan
from bakehouse.stages import dispatch, estimates, preflight, tags
from bakehouse.steps.step import Step
from bakehouse.store import files

_MOST_AT_ONCE = 64  # tasks that wait, each in a thread


def refuse(address: str, remote: Remote) -> None:
    """Refuse before anything else what could not work.

    Raises:
        Failure: there is no shared store, or the address is one that is refused. NotInstalled: the extra is missing.
    """
    connection.require()
    need_store(remote, writes=False)
    connection.security(connection.address(address).partition(":")[0])


class OnCluster:
    """A run whose steps are made on a cluster: what is here is only what comes from here, and at the end the packages."""

    def __init__(self, plan: Plan, session: Session, remote: Remote, names: Mapping[str, str]) -> None:
        self._plan, self._session, self._remote, self._names = plan, session, remote, names
        self._cluster: Cluster | None = None
        self._wanted: frozenset[str] = frozenset()  # keys of what is to be here in the end
        self._shared: frozenset[str] = frozenset()  # keys of what the shared store had at the beginning
        self._asked: frozenset[str] = frozenset()  # keys of what the cluster is to make
        self._done: set[str] = set()  # keys of what it has made
        self._logged: set[str] = set()  # keys of those whose logs have begun
        self._surveys: dict[str, Survey | None] = {}  # by the key of a checkpoint
        self._builds: dict[str, Build] = {}  # the build of a step that no package needs, by the step's key
        self._preparing = threading.Lock()

    def prepare(self, address: str, roots: Sequence[Step], say: Callable[[str], None]) -> None:
        """Look into the shared store, put into it what comes from here, and ask the cluster for the rest; also for more, later.

        Raises:
            Failure: there is no shared store or no cluster, or none of its workers can take a step.
        """
        with self._preparing:
            self._prepare(address, roots, say)

    def connect(self, address: str) -> None:
        """Connect, unless it is done.

        Raises:
            Failure: no scheduler answers there.
        """
        self._cluster = self._cluster or Cluster(address)

    def ask(self, address: str, step: Step, build: Build, say: Callable[[str], None]) -> tuple[Step, ...]:
        """Ask for a step of a build; what is to be waited for with `make`, one after the other, until it is here.

        Raises:
            Failure: as `prepare`.
        """
        self._builds |= {one.key: build for one in step.closure() if one.key not in self._plan.builds_after}
        self.prepare(address, [step], say)
        return tuple(one for one in step.closure() if not self.has(one))

    def _prepare(self, address: str, roots: Sequence[Step], say: Callable[[str], None]) -> None:
        self._wanted |= {step.key for step in roots}
        missing = [step for step in roots if not self._session.store.has(step)]
        if not missing:
            return
        say(f"asking the shared store {self._remote.shown} for what is there")
        known = self._remote.present(dict.fromkeys(one for step in missing for one in step.closure()))
        if known is None:
            raise Failure("the shared store cannot be reached, and a cluster has no other way to exchange files", where="PIPELINE_REMOTE")
        self._shared |= known
        ours, asked = self._sorted(missing)
        takes = {step.key: capacity.taken(self._memory(step), tags.of(step)) for step in asked}
        if asked:
            self.connect(address)
            assert self._cluster
            capacity.refuse_impossible({self._names[step.key]: takes[step.key] for step in asked}, self._cluster.workers())
        for step in ours:
            self._provide(step, say)
        if self._cluster:
            sent = self._requests(asked)
            tasks = [Task(step, sent[step.key], takes[step.key]) for step in asked]
            self._cluster.submit(tasks, self._session.tell, log=self._keep_log)
            if not self._asked:
                say(f"their logs, as they come, are in {self._logs}")
        self._asked |= takes.keys()

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return len(self._cluster.workers()) if self._cluster else 0

    @property
    def given_up(self) -> bool:
        """Whether nothing can come of it any more."""
        return self._cluster is not None and self._cluster.given_up

    @property
    def number(self) -> int:
        """How many steps the cluster is to make."""
        return len(self._asked)

    @property
    def width(self) -> int:
        """How many tasks are to wait at once: twice as many as there are workers, so that those that run are among those one sees."""
        return max(1, min(_MOST_AT_ONCE, 2 * self.workers))

    def has(self, step: Step) -> bool:
        """Whether there is nothing to wait for: it is where it is wanted, or others set it up for themselves."""
        if step.key in self._wanted:
            return self._session.store.has(step)
        return step.kind == "setup" or step.key not in self._asked or step.key in self._done

    def make(self, step: Step) -> None:
        """Wait for a step, and bring it here if it is wanted here.

        Raises:
            Failure: it failed, or it cannot be brought.
        """
        if self._cluster and step.key in self._asked:
            self._session.tell(step, Progress("waiting for a worker"))
            try:
                self._cluster.wait(step)
            except Failed as failed:
                raise self._with_log(failed, step) from failed
            self._done.add(step.key)
        if step.key not in self._wanted:
            return
        insist(
            lambda remote: self._brought(step, remote),
            self._session.store,
            self._session.children,
            lambda text: self._session.tell(step, Progress(text)),
        )

    def _brought(self, step: Step, remote: Remote) -> str:
        """Bring a step here; what is wrong, or ""."""
        remote.supply([step], lambda line: None)
        made = f"{step.kind} of {step.label} is made, and cannot be brought from the shared store {self._remote.shown}"
        return "" if self._session.store.has(step) else made

    def close(self) -> None:
        """Ask for nothing more."""
        if self._cluster:
            self._cluster.close()

    def _sorted(self, roots: Iterable[Step]) -> tuple[list[Step], list[Step]]:
        """What is missing in the shared store, deepest first: what comes from here, and what the cluster is to make."""
        ours, asked, seen = list[Step](), list[Step](), set[str]()

        def want(step: Step) -> None:
            if step.key in seen or step.key in self._shared | self._asked or step.kind == "setup":
                return
            seen.add(step.key)
            if self._session.store.has(step) or step.notes.path is not None:
                ours.append(step)
                return
            for needed in step.reads:
                want(needed)
            asked.append(step)

        for root in roots:
            want(root)
        return ours, asked

    def _provide(self, step: Step, say: Callable[[str], None]) -> None:
        """Put a step into the shared store that is here, or that only this machine can make: a copy of local files."""
        say(f"putting {step.kind} of {step.label} into the shared store")
        dispatch.run(step, self._session)
        self._remote.keep(step)
        if text := self._remote.not_kept:
            raise Failure(text, remedy="the cluster needs it there: allow this machine to write to the shared store")

    def _memory(self, step: Step) -> int:
        """What a step takes; 0 if that is not known before its checkpoint is downloaded."""
        build = self._builds_after(step)[0]
        key = build.checkpoint.key
        if key not in self._surveys:
            self._surveys[key] = preflight.survey_of(build, self._session, ask=False)
        survey = self._surveys[key]
        return 0 if survey is None else estimates.resident_bytes(estimates.of(step, survey))

    def _builds_after(self, step: Step) -> tuple[Build, ...]:
        return self._plan.builds_after.get(step.key) or (self._builds[step.key],)

    def _requests(self, steps: Iterable[Step]) -> dict[str, str]:
        """What a worker is sent for each step, by its key."""
        recipes: dict[str, request.Origin] = {}
        found: dict[str, str] = {}
        for step in steps:
            build = _simplest(self._builds_after(step))
            origin = recipes.setdefault(build.name, request.origin(build))
            found[step.key] = request.of(step, origin, self._remote.shown).model_dump_json()
        return found

    @property
    def _logs(self) -> Path:
        return self._session.store.root / ".staging" / "cluster"

    def _keep_log(self, step: Step, text: str) -> None:
        """Add to the log of a step; that of an earlier run goes."""
        path = self._logs / f"{self._names[step.key].replace(':', '-')}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if step.key in self._logged else "w", encoding="utf-8") as log:
            log.write(text)
        self._logged.add(step.key)

    def _with_log(self, failed: Failed, step: Step) -> Failure:
        """The failure, with the end of the step's log where it is on one machine."""
        log = self._session.store.failed(step) / "log.txt"
        files.write(log, failed.log)
        details = (*(line for line in failed.details if not line.startswith("log: ")), f"log: {log}")
        return Failure(failed.what, where=failed.where, remedy=failed.remedy, details=details)


def _simplest(builds: Sequence[Build]) -> Build:
    """The build that a step is asked for with: one that joins others only where there is no other."""
    return next((build for build in builds if not build.members), builds[0])
