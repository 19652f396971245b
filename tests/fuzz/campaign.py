"""Gives a reader thousands of inputs and collects what it must not do: raise what is not ours, hang, be unclear."""

from __future__ import annotations

import json
import os
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO, Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from bakehouse.child import events
from bakehouse.errors import Failure

LONGEST_S = 5.0  # of processor time
_LONGEST_WAIT_S = 60.0
MOST_BYTES = 1 << 30
_ROUND = 2_000
_LONGEST_SENTENCE = 1500


@dataclass(frozen=True)
class Target:
    """A reader of what others wrote.

    Attributes:
        make: an input, out of random numbers and of what `prepare` left.
        prepare: makes in a folder whatever is needed once; returns what `make` and `read` get.
        read: gives the input to the reader; returns the sentences that it says of it, none for a value.
        ours: the errors that it may raise, whose texts are sentences or parts of such.
    """

    name: str
    make: Callable[[Random, Any], Any]
    prepare: Callable[[Path], Any]
    read: Callable[[Any, Any], list[str]]
    ours: tuple[type[BaseException], ...] = ()


@dataclass
class Outcome:
    """What came of one target: inputs, how many were read or refused, and the faults, each kind with one input."""

    inputs: int = 0
    values: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    faults: dict[str, tuple[int, str]] = field(default_factory=dict)


class _Hangs(BaseException):
    pass


def run(target: Target, inputs: int, number: int, seconds: float = float("inf")) -> Outcome:
    """Give a target that many inputs, or as many as the time allows; hypothesis draws them in rounds, from the seeds `number` and on."""
    outcome, until = Outcome(), time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder, _channel() as said:
        prepared = target.prepare(Path(folder))

        while outcome.inputs < inputs and time.monotonic() < until:
            _round(min(_ROUND, inputs - outcome.inputs), number, lambda drawn: _one(target, drawn, prepared, said, outcome))
            number += 1
    return outcome


def _round(inputs: int, number: int, one: Callable[[int], None]) -> None:
    @seed(number)
    @settings(max_examples=inputs, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**64 - 1))
    def each(drawn: int) -> None:
        one(drawn)

    each()


def again(target: Target, drawn: int) -> list[str]:
    """Give a target the input of one number, and let whatever it raises through."""
    with tempfile.TemporaryDirectory() as folder, _channel():
        prepared = target.prepare(Path(folder))
        return target.read(target.make(Random(drawn), prepared), prepared)


def _one(target: Target, drawn: int, prepared: Any, said: IO[bytes], outcome: Outcome) -> None:
    made = target.make(Random(drawn), prepared)
    outcome.inputs += 1
    began, sentences = time.process_time(), []
    said.seek(0)
    said.truncate()
    try:
        with _alarm():
            sentences = target.read(made, prepared)
    except _Hangs:
        _add(outcome, f"hangs for more than {LONGEST_S:g} s", drawn, made)
    except SystemExit:
        sentences = _refusals(said)
    except Failure as failure:
        sentences = [failure.what, str(failure)]
    except target.ours as error:
        sentences = [str(Failure(str(error)))]  # which is how it comes to a person
    except Exception as error:
        _add(outcome, f"{type(error).__name__} at {_place(error)}: {str(error)[:100]!r}", drawn, made)
        return
    outcome.slowest_s = max(outcome.slowest_s, time.process_time() - began)
    outcome.values += not sentences
    outcome.refused += bool(sentences)
    for sentence in sentences:
        if wrong := unclear(sentence):
            _add(outcome, f"{wrong}: {sentence[:100]!r}", drawn, made)


def unclear(sentence: str) -> str:
    """What is wrong with a sentence that a person will read; "" if nothing is."""
    if not sentence.strip():
        return "says nothing"
    if "Traceback" in sentence or " object at 0x" in sentence:
        return "shows Python's insides"
    if any(not character.isprintable() and character != "\n" for character in sentence):
        return "has control characters"
    return f"has more than {_LONGEST_SENTENCE} characters" if max(map(len, sentence.split("\n"))) > _LONGEST_SENTENCE else ""


def _add(outcome: Outcome, what: str, drawn: int, made: Any) -> None:
    kind = what.partition(": ")[0] if " at " in what else what[:40]
    count, first = outcome.faults.get(kind, (0, f"{what} (input {drawn}: {repr(made)[:160]})"))
    outcome.faults[kind] = (count + 1, first)


def _place(error: BaseException) -> str:
    """The deepest line of ours that an error passed."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "bakehouse" in frame.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "the harness"


def _refusals(said: IO[bytes]) -> list[str]:
    said.seek(0)
    lines = [json.loads(line) for line in said.read().splitlines() if line]
    return [str(Failure(text)) for line in lines if line["event"] == "refused" for text in (line["what"], line["remedy"]) if text] or [""]


@contextmanager
def _alarm() -> Iterator[None]:
    """End what takes too much of the processor's time, or waits for something, however busy the machine is with other work."""

    def ring(*_: object) -> None:
        raise _Hangs

    timers = ((signal.SIGPROF, signal.ITIMER_PROF, LONGEST_S), (signal.SIGALRM, signal.ITIMER_REAL, _LONGEST_WAIT_S))
    before = [signal.signal(one, ring) for one, _, _ in timers]
    for _, timer, seconds in timers:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for _, timer, _ in timers:
            signal.setitimer(timer, 0)
        for (one, _, _), handler in zip(timers, before, strict=True):
            signal.signal(one, handler)


@contextmanager
def _channel() -> Iterator[IO[bytes]]:
    """What workers report goes to a file, as long as this lasts."""
    with tempfile.TemporaryFile() as file:
        os.environ[events.CHANNEL] = str(os.dup(file.fileno()))
        events.channel.cache_clear()
        events.channel()
        try:
            yield file
        finally:
            channel = events.channel()
            events.channel.cache_clear()
            if channel is not None:
                os.close(channel)


def limit_memory() -> None:
    """Let this process have no more than 1 GB of addresses besides those that it has."""
    here = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (here + MOST_BYTES, here + MOST_BYTES))
