"""The seam of workers that run in the library's environment, which has no pydantic: the requests and results of `seams`, as plain dicts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypedDict, TypeVar

from bakehouse.child import hermetic, leash

_Request = TypeVar("_Request", bound=Mapping[str, object])


class CompileSpec(TypedDict):
    """See seams.CompileSpec."""

    weights: str
    torch_dtype: str
    untie: bool


class CompileRequest(TypedDict):
    """See seams.CompileRequest."""

    checkpoint: str
    files: str
    spec: CompileSpec


class CompileResult(TypedDict):
    """See seams.CompileResult."""

    relative_errors: dict[str, float]


class GenerateRequest(TypedDict):
    """See seams.GenerateRequest."""

    model: str
    prompts: str
    answers: str


class CheckResult(TypedDict):
    """See seams.CheckResult."""

    modules: list[str]
    device: str
    versions: dict[str, str]


def begin() -> None:
    """Bind this process to its parent, and put it offline; before any heavy import."""
    leash.hold()
    hermetic.seal()


def run(work: Callable[[_Request], Mapping[str, object] | None]) -> None:
    """Be a worker, as `child.start.run` makes one: the last two arguments are the files of the request and of the result."""
    begin()
    found = work(json.loads(Path(sys.argv[-2]).read_text(encoding="utf-8")))
    if found is not None:
        leave(found)


def leave(result: Mapping[str, object]) -> None:
    """Write the result into the file that the last argument names."""
    Path(sys.argv[-1]).write_text(json.dumps(result) + "\n", encoding="utf-8", newline="\n")
