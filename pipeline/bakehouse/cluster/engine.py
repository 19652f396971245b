"""The client's side of a cluster: gives Dask a task for each missing step, and waits for them. Where and when is Dask's business."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any

from bakehouse.cluster import work
from bakehouse.cluster.capacity import Worker
from bakehouse.cluster.connection import security
from bakehouse.cluster.seams import StepFailed
from bakehouse.cluster.watching import LOGS, TOPIC
from bakehouse.errors import Failure
from bakehouse.executor.listen import Progress
from bakehouse.steps.step import Step

_CONNECT_S = 10
_LOOK_S = 2.0
_LOST = ("cancelled", "lost")


@dataclass(frozen=True)
class Task:
    """A missing step: what a worker is sent for it, and what it takes of a worker."""

    step: Step
    request: str
    takes: Mapping[str, float]


def name_of(step: Step) -> str:
    """The key of a step's task: its own, behind what it is in words, by which Dask's dashboard groups tasks.

    All of that is part of the step's key, so whoever asks for the same step asks for the same task.
    """
    return f"{step.kind}-{step.maker}-{step.key}"


class Cluster:
    """A connection to a scheduler, and the steps that were requested over it."""

    def __init__(self, address: str) -> None:
        """Connect.

        Raises:
            Failure: no scheduler answers there, or it does not trust our certificates.
        """
        from distributed import Client

        self.address = address
        _silence()
        try:
            self._client: Any = Client(
                address, security=security(address.partition(":")[0]), timeout=_CONNECT_S, set_as_default=False, name="bakehouse"
            )
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            raise Failure(
                f"no scheduler answers at {address}",
                details=(str(error).partition("\n")[0],),
                remedy="start one with `bakehouse cluster scheduler`, or correct the address",
            ) from error
        self._futures: dict[str, Any] = {}  # by the step's key, until it is done
        self._ends: dict[str, Future[None]] = {}
        self._steps: dict[str, Step] = {}  # by the key of their task
        self._closed = False
        self.given_up = False  # nothing is waited for any more: the scheduler is gone, or this was closed
        self._giving_up = threading.Lock()

    def workers(self) -> tuple[Worker, ...]:
        """The workers that are there now."""
        found = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return tuple(sorted((Worker(str(one["name"]), one["resources"]) for one in found), key=lambda worker: worker.name))

    def submit(
        self,
        tasks: Iterable[Task],
        tell: Callable[[Step, Progress], None],
        does: Callable[..., object] = work.carry_out,
        log: Callable[[Step, str], None] = lambda step, text: None,
    ) -> None:
        """Ask for steps, once or several times; what one needs of the others comes before it.

        Args:
            tell: is called with what a worker says of a step.
            does: what a worker calls with the request of a task.
            log: is called with what comes into the log of a step, as it comes.
        """
        tasks = tuple(tasks)
        self._steps |= {name_of(task.step): task.step for task in tasks}

        def hear(event: tuple[float, Mapping[str, Any]]) -> None:
            reported = event[1]
            if step := self._steps.get(reported["key"]):
                doing = f"{reported['doing']} [{reported['by']}]"
                tell(step, Progress(doing, reported["done"], reported["total"], reported["unit"]))

        def hear_log(event: tuple[float, Mapping[str, Any]]) -> None:
            if step := self._steps.get(event[1]["key"]):
                log(step, event[1]["text"])

        self._client.subscribe_topic(TOPIC, hear)
        self._client.subscribe_topic(LOGS, hear_log)
        for task in tasks:
            needed = [self._futures[one.key] for _, one in task.step.needs if one.key in self._futures]
            self._ends[task.step.key] = Future()
            self._futures[task.step.key] = self._client.submit(
                does, task.request, *needed, key=name_of(task.step), resources=dict(task.takes), retries=0, pure=True
            )
        for task in tasks:
            self._futures[task.step.key].add_done_callback(lambda future, step=task.step: self._ended(step, future))

    def wait(self, step: Step) -> None:
        """Wait for a step that was asked for.

        Raises:
            Failure: it failed, its workers were lost too often, or the scheduler is gone.
        """
        end = self._ends[step.key]
        while not wait([end], timeout=_LOOK_S).done:
            if self._is_lost(step):  # Dask does not always say so: it breaks off when futures come or go meanwhile (2026.8)
                self._give_up(_gone(self.address))
        end.result()

    def close(self) -> None:
        """Want nothing more: what only this client asked for is ended on the workers."""
        self._closed = True
        self._futures.clear()
        self._client.close(timeout=_CONNECT_S)
        self._give_up(Failure("interrupted", remedy="run it again: it goes on from the last complete step"))

    def _is_lost(self, step: Step) -> bool:
        future = self._futures.get(step.key)
        return self._client.status != "running" or (future is not None and future.status in _LOST)

    def _give_up(self, failure: Failure) -> None:
        """End all waiting."""
        with self._giving_up:
            self.given_up = True
            for end in self._ends.values():
                if not end.done():
                    end.set_exception(failure)

    def _ended(self, step: Step, future: Any) -> None:
        """Take in how a task ended. Its future is let go: Dask would make a result again that is lost with its worker and still wanted."""
        if self._closed:
            return
        if future.status in _LOST:
            self._give_up(_gone(self.address))
            return
        error = _explained(future.exception(), step) if future.status == "error" else None
        with self._giving_up:
            end = self._ends[step.key]
            if not end.done():
                end.set_exception(error) if error else end.set_result(None)
        self._futures.pop(step.key, None)


def _silence() -> None:
    """Keep the libraries' own words from the person who asked; what happens is said in ours."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _gone(address: str) -> Failure:
    return Failure(
        f"the scheduler at {address} is gone",
        remedy="run the same command again when it is back: what is in the shared store is not made again",
    )


def _explained(error: BaseException, step: Step) -> BaseException:
    """The error of a task as one of our own; a bug keeps its traceback."""
    from distributed.scheduler import KilledWorker

    match error:
        case StepFailed():
            reported = error.reported
            details = (*reported.details, f"on the worker {reported.worker}")
            return Failed(
                Failure(reported.what, where=reported.where or f"{step.kind} of {step.label}", remedy=reported.remedy, details=details),
                reported.log,
            )
        case KilledWorker():
            return Failure(
                f"{error.allowed_failures + 1} workers were lost while they made it, the last one was {error.last_worker.name}",
                where=f"{step.kind} of {step.label}",
                remedy="look at the system's log there: a worker is most often killed for want of memory",
            )
        case _:
            return error


class Failed(Failure):
    """A failure on a worker, with the end of the step's log there."""

    def __init__(self, failure: Failure, log: str) -> None:
        super().__init__(failure.what, where=failure.where, remedy=failure.remedy, details=failure.details)
        self.log = log
