"""What we write: the record beside every directory of the store, and the manifest inside every package."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(Written):
    """One file: path relative to `files/` with forward slashes, size in bytes, sha256 in hex."""

    path: str
    size: int
    sha256: str


class Ran(Written):
    """A command as it was run; paths under the artifacts folder are relative to it."""

    argv: tuple[str, ...]
    upstream: str = ""
    seconds: float
    peak_memory_bytes: int


class StepRecord(Written):
    """The `manifest.json` beside the `files/` of one step in the store; the directory is whole because this exists."""

    schema_version: int = 1
    kind: str
    maker: str
    label: str
    key: str
    options: dict[str, Any]
    needs: dict[str, str]  # role -> "kind/key"
    tools: dict[str, str]
    format: int
    files: tuple[FileRecord, ...]
    ran: tuple[Ran, ...]
    facts: dict[str, Any]  # what the worker reported
    measured: dict[str, Any]  # what verify read from the artifact
    made_at: datetime
    made_on: dict[str, str]  # machine class: os, architecture, processor, memory, python
