"""What a child reports, as it comes: its events, and of its text the last lines and the percentages of progress bars."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from bakehouse.executor import crash, events
from bakehouse.executor.channel import Line
from bakehouse.executor.events import CrashedEvent, Event, MemoryEvent, ProgressEvent, RefusedEvent, SaidEvent

_LAST_LINES = 15
_PERCENT = re.compile(r"\b(\d{1,3})%")


@dataclass(frozen=True)
class Progress:
    """What a child says it is doing; `done` of `total` in `unit` ("B" for bytes, "%") where it is known."""

    doing: str
    done: float | None = None
    total: float | None = None
    unit: str = ""


Hear = Callable[[Mapping[str, JsonValue]], None]  # takes a message of a worker that one talks with


def _nobody(message: Mapping[str, JsonValue]) -> None:
    """A message that no one waits for."""


@dataclass(frozen=True)
class Refusal:
    """Why a worker refused its work, and what to do."""

    what: str
    remedy: str
    details: tuple[str, ...]


@dataclass
class Listener:
    """What has been heard of one child so far."""

    on_progress: Callable[[Progress], None]
    on_said: Hear = _nobody
    refused: Refusal | None = None
    crashed: crash.Crash | None = None
    last: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    doing: str = ""
    peak_bytes: int = 0  # of its memory, as it reported it itself

    def hear(self, line: Line) -> None:
        """Take in one line."""
        event = events.read(line.text) if line.of == "event" else None
        if event is not None:
            self._take(event)
        elif line.of == "text":
            self.last.append(line.text.rstrip()[:300])
            if self.doing and (percent := _PERCENT.search(line.text)):
                self.on_progress(Progress(self.doing, float(percent[1]), 100.0, "%"))

    def _take(self, event: Event) -> None:
        match event:
            case ProgressEvent():
                self.doing = event.doing
                self.on_progress(Progress(event.doing, event.done, event.total, event.unit))
            case MemoryEvent():
                self.peak_bytes = event.peak_bytes
            case RefusedEvent():
                self.refused = Refusal(event.what, event.remedy, event.details)
            case SaidEvent():
                self.on_said(event.message)
            case CrashedEvent():
                self.crashed = crash.of_event(event)
