"""The receipts of what was published: which package went where, as which commit, and when. They stay when packages go."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from pipeline import files
from pipeline.manifest import Written
from pipeline.store import Store


class Receipt(Written):
    """One publication, written after the hub's own hashes were compared with the package's."""

    schema_version: Literal[1] = 1
    name: str  # the build's full name
    key: str  # of the package step
    endpoint: str  # of the hub
    repo: str
    branch: str
    commit: str
    url: str  # of the commit, or of the pull request
    pull_request: bool
    tag: str | None
    committed: bool  # False if the hub held the package already
    manifest_sha256: str
    files: int  # compared with what the hub reports
    size_bytes: int
    published_at: datetime


def folder(store: Store, name: str) -> Path:
    """Where the receipts of a build and the log of its last publication are."""
    return store.root / "published" / name


def write(store: Store, receipt: Receipt) -> Path:
    """Keep a receipt, one a commit; the first one of a commit stays."""
    path = folder(store, receipt.name) / f"{receipt.commit}.json"
    if not path.exists():
        files.write(path, receipt.model_dump_json(indent=2) + "\n")
        path.chmod(0o444)
    return path


def of(store: Store, name: str) -> tuple[Receipt, ...]:
    """All receipts of a build that can be read, the newest first."""
    found = []
    for path in folder(store, name).glob("*.json") if folder(store, name).is_dir() else ():
        try:
            found.append(Receipt.model_validate_json(path.read_bytes()))
        except (ValidationError, OSError):
            continue
    return tuple(sorted(found, key=lambda receipt: receipt.published_at, reverse=True))


def endpoint() -> str:
    """The hub that HF_ENDPOINT names, or the hub."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
