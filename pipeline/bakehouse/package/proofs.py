"""The files of a package that are made from its manifest: bill of materials, provenance, checksums of everything."""

from __future__ import annotations

from pathlib import Path

from bakehouse.package import checksums, provenance
from bakehouse.package import sbom as bom
from bakehouse.package.file_names import BOM, CHECKSUMS, PROVENANCE
from bakehouse.package.manifest import PackageManifest
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
    files.write(folder / CHECKSUMS, checksums.text(present))
