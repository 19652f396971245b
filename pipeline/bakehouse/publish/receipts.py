"""The receipts of what was published: which package went where, as which commit, and when. They stay when a package is removed."""

from __future__ import annotations

import itertools
import os
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from bakehouse.errors import Failure
from bakehouse.records import Written
from bakehouse.store import files
from bakehouse.store.store import Store


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
    committed: bool  # False if the hub had the package already
    manifest_sha256: str
    files: int  # compared with what the hub reports
    size_bytes: int
    published_at: datetime


def folder(store: Store, name: str) -> Path:
    """Where the receipts of a build and the log of its last publication are."""
    return store.root / "published" / name


def write(store: Store, receipt: Receipt) -> Path:
    """Keep a receipt, and return its path; if an equal one exists, that one's (a later tag or another branch makes it unequal)."""
    home = folder(store, receipt.name)
    for path in _all(home):
        known = _read(path)
        if known and _content(known) == _content(receipt):
            return path
    names = itertools.chain((f"{receipt.commit}.json",), (f"{receipt.commit}-{number}.json" for number in itertools.count(2)))
    path = next(home / name for name in names if not (home / name).exists())
    files.write(path, receipt.model_dump_json(indent=2) + "\n")
    path.chmod(0o444)
    return path


def of(store: Store, name: str) -> tuple[Receipt, ...]:
    """All receipts of a build, the newest first.

    Raises:
        Failure: one cannot be read.
    """
    found = {path: _read(path) for path in _all(folder(store, name))}
    if wrong := [str(path) for path, receipt in found.items() if receipt is None]:
        raise Failure(
            "Some receipts cannot be read.",
            where=name,
            details=tuple(wrong),
            remedy=f"Move them away; `bakehouse publish {name}` writes the receipt of the newest commit again.",
        )
    return tuple(sorted((receipt for receipt in found.values() if receipt), key=lambda receipt: receipt.published_at, reverse=True))


def _all(home: Path) -> list[Path]:
    return sorted(home.glob("*.json"))


def _read(path: Path) -> Receipt | None:
    try:
        return Receipt.model_validate_json(path.read_bytes())
    except ValidationError:
        return None


def _content(receipt: Receipt) -> str:
    """What a receipt says, whenever and by whomever the commit was made."""
    return receipt.model_dump_json(exclude={"published_at", "committed"})


def endpoint() -> str:
    """The hub's address: HF_ENDPOINT, or huggingface.co."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
