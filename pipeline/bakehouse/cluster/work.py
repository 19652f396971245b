"""What a worker does for a task: bring what the step needs out of the shared store, make it as on one machine, put it there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bakehouse.child import redact as discreet
from bakehouse.cluster import request as requests
from bakehouse.cluster.seams import StepFailed, StepRequest
from bakehouse.cluster.waiting import insist
from bakehouse.cluster.watching import Watch, watching
from bakehouse.errors import Failure
from bakehouse.executor.session import Room, Session
from bakehouse.executor.shared_store import Remote
from bakehouse.stages import dispatch
from bakehouse.steps.step import Step
from bakehouse.store.store import Store

Make = Callable[[Step, Session], None]

_LOG_BYTES = 100_000


@dataclass(frozen=True)
class Made:
    """A step in the shared store, which this worker holds too. Dask takes it to be as large as the files: it prefers who holds them."""

    key: str
    size_bytes: int

    def __sizeof__(self) -> int:
        return self.size_bytes + object.__sizeof__(self)


@dataclass(frozen=True)
class Here:
    """What the steps of one worker process have in common: its store, its memory, its environment."""

    store: Store
    room: Room
    environ: Mapping[str, str]


@cache
def here() -> Here:
    """This worker process; `bakehouse worker` has set PIPELINE_ARTIFACTS."""
    return Here(Store(Path(os.environ["PIPELINE_ARTIFACTS"])), Room(), os.environ)


def carry_out(text: str, *needed: Made) -> Made:
    """The task of a step: `text` is a StepRequest; `needed` is what Dask knows that it needs.

    Raises:
        StepFailed: in a sentence.
    """
    request = StepRequest.model_validate_json(text)
    return done(lambda: requests.step_of(request), dispatch.run, request.shared_store)


def done(find: Callable[[], Step], make: Make, shared_store: str) -> Made:
    """Have a step in the shared store, made here with `make` if it is not there.

    Raises:
        StepFailed: in a sentence; not for a step that nobody wants any more.
    """
    while True:
        with watching() as watch:
            try:
                refuse_other_store(shared_store, here().environ)
                step = find()
                watch.follow(here().store, step)
                return _have(step, make, watch)
            except Failure as failure:
                if watch.children.stopping and watch.is_wanted():  # by somebody else, since it was stopped
                    continue
                raise StepFailed.of(failure, watch.worker, watch.log(_LOG_BYTES)) from None


def refuse_other_store(shared_store: str, environ: Mapping[str, str]) -> None:
    """See that a worker and who asks share one store.

    Raises:
        Failure: they do not, or the worker may only read it.
    """
    own = discreet.shown(environ.get("PIPELINE_REMOTE", ""))
    if own != shared_store:
        raise Failure(
            f"this worker's shared store is {own or 'none'}, and who asks has {shared_store}",
            remedy="set PIPELINE_REMOTE to the same URL on all machines of the cluster",
        )
    if environ.get("PIPELINE_REMOTE_MODE") == "read":
        raise Failure("this worker may only read the shared store", remedy="leave out PIPELINE_REMOTE_MODE there, or set it to write")


def _have(step: Step, make: Make, watch: Watch) -> Made:
    store = here().store
    session = Session(store, watch.children, tell=watch.tell, room=here().room)
    had = store.has(step)
    _insist(watch, lambda remote: _supplied(step, store, remote, watch))
    brought = not had and store.has(step)
    if not brought:
        for needed in step.reads:
            if needed.kind == "setup" and not store.has(needed):
                make(needed, session)
        make(step, session)
        _insist(watch, lambda remote: _kept(step, remote))
    record = store.record(step)
    return Made(step.key, sum(file.size for file in record.files) if record else 0)


def _supplied(step: Step, store: Store, remote: Remote, watch: Watch) -> str:
    """Bring the step here, or else what it needs; what is missing after that, or ""."""
    watch.say("bringing what it needs from the shared store")
    remote.supply([step], lambda line: None)
    missing = [one for one in step.reads if one.kind != "setup" and not store.has(one)]
    return "" if store.has(step) or not missing else f"{missing[0].kind} of {missing[0].label} is not in the shared store {remote.shown}"


def _kept(step: Step, remote: Remote) -> str:
    remote.keep(step)
    return remote.not_kept or ""


def _insist(watch: Watch, act: Callable[[Remote], str]) -> None:
    """Do something with the shared store.

    Raises:
        Failure: it is out of reach for too long, or not as it should be.
    """
    insist(act, here().store, watch.children, watch.say, here().environ)
