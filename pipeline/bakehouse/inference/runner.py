"""Talks with a child process that keeps one model loaded: jobs go to it one at a time, text comes back piece by piece."""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import IO, Annotated

from pydantic import Field, JsonValue, TypeAdapter

from bakehouse.backends.base import Device
from bakehouse.backends.table import BACKENDS
from bakehouse.errors import Failure
from bakehouse.executor import process
from bakehouse.executor.listen import Progress
from bakehouse.executor.process import Children
from bakehouse.inference.found import Found
from bakehouse.steps.maker import Command
from bakehouse.tasks.text_generation.workers.jobs import Answered, Job, Loaded, Piece, Refused

Message = Loaded | Piece | Answered | Refused
_LOOK_S = 0.5  # a wait without an end cannot be interrupted on Windows
_PATIENCE_S = 10.0  # for a worker to end a cancelled answer, or itself


class Declined(Failure):
    """The model cannot answer this job; it can answer others."""


@dataclass(frozen=True)
class Ended:
    """The worker has ended: with this failure, or because its input ended."""

    why: BaseException | None


@dataclass
class Line:
    """This side of the conversation."""

    came: queue.SimpleQueue[Message | Ended] = field(default_factory=queue.SimpleQueue)
    to_worker: IO[bytes] | None = None

    def begins(self, to_worker: IO[bytes]) -> None:
        self.to_worker = to_worker

    def hears(self, message: Mapping[str, JsonValue]) -> None:
        self.came.put(_reader().validate_python(message))

    def send(self, **message: object) -> None:
        """Send a line; a worker that has ended is heard of by `next`."""
        if self.to_worker:
            with contextlib.suppress(OSError, ValueError):
                self.to_worker.write(f"{json.dumps(message)}\n".encode())
                self.to_worker.flush()

    def close(self) -> None:
        """Let the worker end by itself."""
        if self.to_worker:
            with contextlib.suppress(OSError, ValueError):
                self.to_worker.close()

    def next(self, timeout_s: float | None = None) -> Message:
        """What the worker says next.

        Raises:
            Failure: the worker has ended. queue.Empty: it was silent for so long.
        """
        waited = 0.0
        while True:
            try:
                found = self.came.get(timeout=_LOOK_S)
            except queue.Empty:
                waited += _LOOK_S
                if timeout_s is not None and waited >= timeout_s:
                    raise
                continue
            if isinstance(found, Ended):
                self.came.put(found)  # for whoever comes next
                raise found.why or Failure("the process that runs the model has ended", remedy="start it again")
            return found


@cache
def _reader() -> TypeAdapter[Message]:
    return TypeAdapter(Annotated[Message, Field(discriminator="of")])


class Runner:
    """A loaded model; `loaded` says on what. Any thread may have it answer: one job at a time, in the order in which they come."""

    def __init__(self, name: str, line: Line, loaded: Loaded) -> None:
        self.name, self.loaded = name, loaded
        self._line, self._turn, self._number = line, threading.Lock(), 0

    def stream(self, job: Job) -> Generator[str | Answered, None, None]:
        """The pieces of an answer as they come, and at the end what was counted. Closing it early cancels the answer.

        Raises:
            Declined: the model cannot answer this job. Failure: the worker has ended.
        """
        with self._turn:
            self._number += 1
            numbered = replace(job, number=self._number)
            self._line.send(job=asdict(numbered))
            done = False
            try:
                while not done:
                    match self._line.next():
                        case Piece(text=text):
                            yield text
                        case Answered() as answered:
                            done = True
                            yield answered
                        case Refused(why=why):
                            done = True
                            raise Declined(why)
                        case Loaded():
                            raise AssertionError("a worker loads its model once")
            except Declined:
                raise
            except Failure:
                done = True  # nothing more comes
                raise
            finally:
                if not done:
                    self._cancel(numbered.number)

    def _cancel(self, number: int) -> None:
        """Have the worker end this answer, and wait until it has."""
        self._line.send(cancel=number)
        with contextlib.suppress(queue.Empty, Failure):
            while not isinstance(self._line.next(_PATIENCE_S), Answered | Refused):
                pass


def _nothing(progress: Progress) -> None:
    """Progress that no one watches."""


@contextmanager
def opened(found: Found, device: Device | None = None, on_progress: Callable[[Progress], None] = _nothing) -> Iterator[Runner]:
    """The package, loaded in its runtime as long as this lasts.

    Raises:
        Failure: it cannot be run here, or on this device. NotInstalled: the runtime is missing.
    """
    options = found.manifest.build.options
    with started(found.name, BACKENDS[options.runtime].runner(options, found.folder, device), on_progress) as runner:
        yield runner


@contextmanager
def started(name: str, command: Command, on_progress: Callable[[Progress], None] = _nothing) -> Iterator[Runner]:
    """A runner over the worker that `command` starts, which ends with it, whatever happens.

    Raises:
        Failure: the worker ended before its model was loaded.
    """
    folder = Path(tempfile.mkdtemp(prefix="bakehouse-"))
    children, line, keep = Children(), Line(), False

    def run() -> None:
        try:
            process.run(command, children=children, log=folder / "run.log", scratch=folder / "work", on_progress=on_progress, talk=line)
            line.came.put(Ended(None))
        except BaseException as error:
            line.came.put(Ended(error))

    thread = threading.Thread(target=run, daemon=True)  # Linux ends the child with the thread that has started it
    thread.start()
    try:
        loaded = line.next()
        assert isinstance(loaded, Loaded), "the first message of a worker is `loaded`"
        yield Runner(name, line, loaded)
    except Failure as failure:
        keep = any(str(folder) in detail for detail in failure.details)  # it names the log
        raise
    except BaseException:
        children.stop()  # it may be in the middle of loading
        raise
    finally:
        line.close()
        thread.join(_PATIENCE_S)
        children.stop()
        thread.join(_PATIENCE_S)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
