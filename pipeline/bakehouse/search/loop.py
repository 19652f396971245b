"""Carries a search out: measures what `decide` wants until it is done, here one after the other, on a cluster several at a time.

Each candidate is the same keyed steps as an ordinary build, so what was made stays made, here and for builds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import assert_never

from bakehouse.errors import Failure
from bakehouse.plan.plan import Build
from bakehouse.records import Fidelity
from bakehouse.search.decide import Done, Next, decide
from bakehouse.search.making import MODEL, Prepared, Trial
from bakehouse.search.results import Result
from bakehouse.steps.step import Step
from bakehouse.store.store import Store

_OWN = (*MODEL, "fidelity", "calibration", "validate", "package")  # a failure of another step is one of all candidates


@dataclass(frozen=True)
class Means:
    """How a search gets what it decides on: here, or on a cluster.

    Attributes:
        have: has a step of a build made, with all that it needs, so that its record and files are in the store here.
        size: how many bytes a step's files have that was made; None if that is not known.
        speed: builds a candidate's package, and measures it.
        stopped: whether nothing can be made any more, so that a failure is none of a candidate's.
        width: how many candidates are measured at the same time.
    """

    have: Callable[[Step, Build], None]
    size: Callable[[Step], int | None]
    speed: Callable[[Trial], float]
    stopped: Callable[[], bool]
    width: int = 1


def known(trial: Trial, store: Store, size: Callable[[Step], int | None]) -> Result | None:
    """What the store knows of a candidate; None if it was not begun."""
    screened, confirmed = _fidelity(trial.screen, store), _fidelity(trial.confirm, store)
    if screened is None and confirmed is None:
        return None
    sizes = [size(step) or 0 for step in trial.model]
    return Result(size_bytes=sum(sizes) or None, screened=screened, confirmed=confirmed)


def size_here(step: Step, store: Store) -> int | None:
    """The size of a step's files by its record in the store."""
    record = store.record(step)
    return sum(file.size for file in record.files) if record else None


def _fidelity(step: Step, store: Store) -> Fidelity | None:
    record = store.record(step) if store.has(step) else None
    return Fidelity.model_validate(record.measured) if record else None


@dataclass
class _Learned:
    """What a search has found out that is in no store: speeds, and which candidates failed, by name."""

    speeds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def results(self, prepared: Prepared, store: Store, means: Means) -> dict[str, Result]:
        """All that is known of the candidates that were begun."""
        found = {trial.candidate.name: result for trial in prepared.trials if (result := known(trial, store, means.size))}
        found = {name: replace(result, speed=self.speeds.get(name)) for name, result in found.items()}
        return found | {name: Result(failed=reason) for name, reason in self.failed.items()}

    def measure(self, wanted: Next, prepared: Prepared, means: Means) -> None:
        """Carry out one measurement; a candidate that cannot be made is out, and the search goes on.

        Raises:
            Failure: of a step that all candidates need.
        """
        name, trial = wanted.candidate.name, prepared.trial(wanted.candidate.name)
        try:
            match wanted.action:
                case "screen":
                    means.have(trial.screen, trial.build)
                case "confirm":
                    means.have(trial.confirm, trial.build)
                case "bench":
                    self.speeds[name] = means.speed(trial)
                case _:
                    assert_never(wanted.action)
        except StepFailure as failure:
            if failure.step.kind not in _OWN or means.stopped():
                raise
            self.failed[name] = failure.what


class StepFailure(Failure):
    """A failure, and the step that it is of."""

    def __init__(self, failure: Failure, step: Step) -> None:
        super().__init__(failure.what, where=failure.where, remedy=failure.remedy, details=failure.details)
        self.step = step


def run(prepared: Prepared, store: Store, means: Means) -> Iterator[tuple[Next | Done, dict[str, Result]]]:
    """Measure what `decide` wants until it is done; what it wants next, and what is known by then.

    Raises:
        Failure: of a step that all candidates need, such as the download.
    """
    begun, learned = time.monotonic(), _Learned()
    running: dict[Future[None], str] = {}
    pool = ThreadPoolExecutor(means.width) if means.width > 1 else None  # one after the other they are measured in this thread
    try:
        while True:
            results = learned.results(prepared, store, means)
            wanted = decide(prepared.goal, prepared.candidates, results, time.monotonic() - begun, running.values())
            if wanted is not None:
                yield wanted, results
            if isinstance(wanted, Done):
                return
            if wanted is not None and pool is None:
                learned.measure(wanted, prepared, means)
            elif wanted is not None and pool is not None:
                running[pool.submit(learned.measure, wanted, prepared, means)] = wanted.candidate.name
            if running and (wanted is None or len(running) == means.width):
                for ended in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[ended]
                    ended.result()
    finally:
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
