"""What the worker that talks to the shared store gets and leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bakehouse.steps.seam import Request, Result


class ListSteps(Request):
    """Which of these steps (`kind/key`) does the shared store have?"""

    verb: Literal["list"] = "list"
    names: tuple[str, ...]


class FetchStep(Request):
    """Bring a step (`kind/key`) here: fill `folder`/files, and write its record to `folder`/record.json."""

    verb: Literal["fetch"] = "fetch"
    name: str
    folder: Path


class PutStep(Request):
    """Bring a step (`kind/key`) into the shared store; `folder` is its directory in the store here."""

    verb: Literal["put"] = "put"
    name: str
    folder: Path


class SizeOf(Request):
    """How many bytes do the files of a step (`kind/key`) in the shared store have?"""

    verb: Literal["size"] = "size"
    name: str


class StoreRequest(Request):
    """What `remote_store` does at the URL in BAKEHOUSE_REMOTE, which may hold a password; it may be silent for `patience_s` seconds."""

    work: Annotated[ListSteps | FetchStep | PutStep | SizeOf, Field(discriminator="verb")]
    patience_s: float


class StoreResult(Result):
    """What came of it: the steps that are present, how many bytes moved or lie there; or why the shared store could not be used.

    Attributes:
        unreachable: why nothing could be heard of it.
        refuses: what it refused, for want of the right credentials.
    """

    present: tuple[str, ...] = ()
    fetched_bytes: int | None = None
    sent_bytes: int | None = None
    size_bytes: int | None = None  # None if the step is not there
    unreachable: str | None = None
    refuses: str | None = None
