"""The events that a worker reports on its channel, as `child.events` writes them: a line of JSON each."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class ProgressEvent(_Event):
    """What a worker is doing; `done` of `total` in `unit`, where it is known."""

    event: Literal["progress"]
    doing: str
    done: int | float | None
    total: int | float | None
    unit: str


class MemoryEvent(_Event):
    """The most memory that the worker held resident, in bytes."""

    event: Literal["memory"]
    peak_bytes: int


class RefusedEvent(_Event):
    """Why it refused its work, and what to do."""

    event: Literal["refused"]
    what: str
    remedy: str
    details: tuple[str, ...]


class CrashedEvent(_Event):
    """The exception that ended it; see `crash.Crash`."""

    event: Literal["crashed"]
    message: str
    kinds: tuple[str, ...]
    module: str | None
    file: str
    number: int | None


class SaidEvent(_Event):
    """A message for whoever talks with the worker."""

    event: Literal["said"]
    message: dict[str, JsonValue]


Event = ProgressEvent | MemoryEvent | RefusedEvent | CrashedEvent | SaidEvent


def read(line: str) -> Event | None:
    """The event in a line; None for what a child that was killed has written of one."""
    try:
        return _reader().validate_json(line)
    except ValidationError:
        return None


@cache
def _reader() -> TypeAdapter[Event]:
    return TypeAdapter(Annotated[Event, Field(discriminator="event")])
