"""What a source and a backend have in common: they describe the command that makes a step, and check what it made."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from bakehouse.steps.seam import Report, Request
from bakehouse.steps.step import Step


@dataclass(frozen=True)
class Command:
    """A program to run in a child process.

    Attributes:
        argv: program and arguments; of a worker that gets a request, two more follow: the files of the request and of the result.
        env: additions to the (scrubbed) environment.
        needs_network: only then is the child online.
        hub_token: only then does it see the hub's token; no child sees any other secret of the environment.
        upstream: how to do the same by hand with the tool's own command line, for the manifest and the card.
        first: a folder of distributions that come before the installed ones.
    """

    argv: tuple[str, ...]
    request: Request | None = field(default=None, kw_only=True)
    env: Mapping[str, str] = field(default_factory=dict)
    needs_network: bool = False
    upstream: str = ""
    hub_token: bool = False
    first: Path | None = None


def worker(
    name: str, *arguments: str, request: Request | None = None, needs_network: bool = False, upstream: str = "", hub_token: bool = False
) -> Command:
    """The command that runs `bakehouse.<name>` with this interpreter."""
    argv = (sys.executable, "-m", f"bakehouse.{name}", *arguments)
    return Command(argv, request=request, needs_network=needs_network, upstream=upstream, hub_token=hub_token)


@dataclass(frozen=True)
class Verification:
    """What an artifact is, read from the artifact, and where that is not what was requested.

    Attributes:
        measured: facts by name (JSON values), recorded in the manifest and the card.
        faults: sentences, one for each way in which the artifact is not what was requested; empty if it is.
        what: what the faults come to, and `remedy`, what to do; "" where they are about what the recipe asks.
    """

    measured: Mapping[str, JsonValue] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    what: str = ""
    remedy: str = ""


class Maker(Protocol):
    """A module that makes steps of its own kinds."""

    def command(self, step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
        """The command that fills the empty directory `files`; `inputs` maps a role to the needed step's files.

        A download may find in `files` what an earlier, broken-off run left, and go on from that.
        """
        ...

    def verify(self, step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
        """Compare what is in `files` with what `step` requests; `report` is what the worker reported."""
        ...
