"""What travels with a package beside its manifest, and is made from it: bill of materials, provenance, checksums of everything."""

from __future__ import annotations

from pathlib import Path

from bakehouse.package import checksums, provenance
from bakehouse.package import sbom as bom
from bakehouse.package.file_names import BOM, CHECKSUMS, PROVENANCE
from bakehouse.package.manifest import PackageManifest
from bakehouse.store import files
from bakehouse.store.package_files import MANIFEST


def write(folder: Path, manifest: PackageManifest) -> None:
    """Add to a package that is otherwise whole, manifest and all, what proves it: each of the three lists all that was there before.

    The manifest's own hashes are taken as they are: gigabytes that were hashed for it a moment ago are not read again.
    """
    there = (*manifest.files, *files.records_of(folder, [folder / MANIFEST]))
    files.write(folder / BOM, bom.render(manifest, sorted(there, key=lambda file: file.path)))
    there = (*there, *files.records_of(folder, [folder / BOM]))
    files.write(folder / PROVENANCE, provenance.render(manifest, sorted(there, key=lambda file: file.path)))
    there = (*there, *files.records_of(folder, [folder / PROVENANCE]))
    files.write(folder / CHECKSUMS, checksums.text(there))
