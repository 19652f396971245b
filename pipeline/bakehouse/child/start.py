"""How a worker begins: it ends with its parent, works without a network, and reads what it is requested to do."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bakehouse.child import hermetic, leash, torch_settled

if TYPE_CHECKING:  # an environment of its own may have no pydantic
    from _typeshed import DataclassInstance

    from bakehouse.steps.seam import Request, Result

_Request = TypeVar("_Request", bound="Request")
_Plain = TypeVar("_Plain")


def run(work: Callable[[_Request], Result | None], kind: type[_Request], *, online: bool = False) -> None:
    """Be a worker: bind this process to its parent, put it offline unless it is `online`, read the request, work, leave the result.

    The last two arguments of the command line are the files of the request and of the result. Call it before any heavy import.
    """
    leash.hold()
    torch_settled.when_imported()
    if not online:
        hermetic.seal()
    request, result = map(Path, sys.argv[-2:])
    found = work(kind.model_validate_json(request.read_bytes()))
    if found is not None:
        leave(found, result)


def run_plain(work: Callable[[_Plain], DataclassInstance], kind: Callable[..., _Plain], *, online: bool = False) -> None:
    """The same for an environment without pydantic: request and result are dataclasses of plain JSON values."""
    leash.hold()
    torch_settled.when_imported()
    if not online:
        hermetic.seal()
    request, result = map(Path, sys.argv[-2:])
    found = asdict(work(kind(**json.loads(request.read_text(encoding="utf-8")))))
    values = {name: value for name, value in found.items() if value is not None}
    result.write_text(json.dumps(values) + "\n", encoding="utf-8", newline="\n")


def leave(result: Result, to: Path | None = None) -> None:
    """Write the result down, for the parent to find; for a worker that has to end on the spot."""
    (to or Path(sys.argv[-1])).write_text(result.model_dump_json(exclude_none=True) + "\n", encoding="utf-8", newline="\n")


@contextmanager
def own_modules() -> Iterator[None]:
    """Have transformers copy remote code to a temporary folder while this lasts, else it would be the user's own cache."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HF_MODULES_CACHE"] = folder
        yield
