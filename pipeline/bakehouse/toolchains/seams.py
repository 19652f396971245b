"""What crosses between the pipeline and the worker that installs a toolchain."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from bakehouse.records import Distribution
from bakehouse.steps.seam import Request, Result, Spec


class ToolchainSpec(Spec):
    """The wheels, by the hash of their lock; the system and Python only where the wheels are not the same on all."""

    lock_sha256: str
    system: str | None = Field(None, exclude_if=lambda system: system is None)


class SetupRequest(Request):
    """Fill the folder `files` with the wheels of `lock`."""

    lock: Path
    files: Path


class SetupResult(Result):
    """What was installed."""

    packages: tuple[Distribution, ...]
