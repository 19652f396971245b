"""The files of a package that are made from its manifest: bill of materials, provenance, checksums of everything."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.package import provenance
from bakehouse.package import sbom as bom
from bakehouse.package.manifest import BOM, CHECKSUMS, PROVENANCE, PackageManifest
from bakehouse.records import FileRecord
from bakehouse.store import files
from bakehouse.store.package_files import MANIFEST


def write(folder: Path, manifest: PackageManifest) -> None:
    """Add the proofs to a package that is otherwise complete, with its manifest: each of the three lists all files written before it.

    The manifest's hashes are used as they are: gigabytes that were hashed a moment ago are not read again.
    """
    present = (*manifest.files, *files.records_of(folder, [folder / MANIFEST]))
    files.write(folder / BOM, bom.render(manifest, sorted(present, key=lambda file: file.path)))
    present = (*present, *files.records_of(folder, [folder / BOM]))
    files.write(folder / PROVENANCE, provenance.render(manifest, sorted(present, key=lambda file: file.path)))
    present = (*present, *files.records_of(folder, [folder / PROVENANCE]))
    files.write(folder / CHECKSUMS, checksums(present))


def checksums(records: Iterable[FileRecord]) -> str:
    """The text that `sha256sum --check` reads."""
    return "".join(f"{file.sha256}  {file.path}\n" for file in sorted(records, key=lambda file: file.path))


def read_checksums(path: Path) -> dict[str, str]:
    """path -> sha256 out of a text that `sha256sum` wrote.

    Raises:
        Failure: a line is not of that form.
    """
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        digest, gap, name = line[:64], line[64:66], line[66:]
        if gap not in ("  ", " *") or not name or set(digest) - set("0123456789abcdef") or name in found:
            raise Failure(f"Line {number} is not a sha256, two spaces and a path.", where=path.name, remedy="Get the package again.")
        found[name] = digest
    return found
