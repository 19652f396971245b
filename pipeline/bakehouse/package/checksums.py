"""The `SHA256SUMS` of a package or a release, as `sha256sum` writes and reads them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.records import FileRecord


def text(records: Iterable[FileRecord]) -> str:
    """The text that `sha256sum --check` reads."""
    return "".join(f"{file.sha256}  {file.path}\n" for file in sorted(records, key=lambda file: file.path))


def read(path: Path) -> dict[str, str]:
    """path -> sha256 out of a text that `sha256sum` wrote.

    Raises:
        Failure: a line is not of that form.
    """
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        digest, gap, name = line[:64], line[64:66], line[66:]
        if gap not in ("  ", " *") or not name or set(digest) - set("0123456789abcdef") or name in found:
            raise Failure(f"line {number} is not a sha256, two spaces and a path", where=path.name, remedy="get the package anew")
        found[name] = digest
    return found
