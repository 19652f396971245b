"""What is written next to the files of a delivered folder: the profile, and where each file comes from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bakehouse.records import FileRecord, Written


class Carried(FileRecord):
    """A file that is the package's own, byte for byte; `package_path` is where it is there, `also` where it is there once more."""

    package_path: str
    also: tuple[str, ...] = ()


class Replaced(FileRecord):
    """A file in place of the package's file `package_path`, and how it differs from that."""

    package_path: str
    why: str


class Delivery(Written):
    """The record of a delivered folder, `bakehouse-delivery.json`; the package's manifest lies next to it."""

    schema_version: Literal[1] = 1
    profile: str
    profile_version: int
    name: str  # of the package
    key: str  # of the package
    manifest_sha256: str = ""  # of the package's manifest as it lies here; "" in records from before this was written
    carried: tuple[Carried, ...]
    replaced: tuple[Replaced, ...] = ()
    added: tuple[FileRecord, ...] = Field(description="Files that the package does not have.")
    left_out: tuple[str, ...] = ()  # files of the package that are about its own layout: its proofs and its signature

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """All files of the folder but the record and the manifest."""
        return (*self.carried, *self.replaced, *self.added)
