"""A package of a few bytes, made by the real packaging code from a manifest that no build was needed for."""

from __future__ import annotations

from pathlib import Path

from bakehouse.package.manifest import PackageManifest
from bakehouse.stages import package
from bakehouse.store import files
from tests.package.test_card import manifest


def pack(folder: Path, record: PackageManifest | None = None, weights: bytes = b"weights") -> Path:
    """Fill `folder` with model files, licence, recipe, card, manifest and proofs."""
    record = record or manifest()
    (folder / "below").mkdir(parents=True)
    (folder / "openvino_model.bin").write_bytes(weights)
    (folder / "below" / "config.json").write_bytes(b"{}\n")
    (folder / "LICENSE").write_text("Do as you like.\n")
    files.write(folder / "recipe.yaml", package.recipe_text(record.build))
    package.describe(folder, record)
    return folder
