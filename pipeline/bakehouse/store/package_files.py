"""What a package's own manifest is called, and whether a folder is a package: of any version, past or future."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

# onnxruntime-genai 0.18.0 takes a folder with a `manifest.json` and no `genai_config.json` for an ORT model package
# (src/models/model_package.cpp), so a package's own manifest has a name of its own. Packages made before have the old one.
MANIFEST, OLD_MANIFEST = MANIFESTS = ("bakehouse.json", "manifest.json")


class ListedFile(BaseModel):
    """A file as a manifest of any version lists it."""

    model_config = ConfigDict(defer_build=True)

    path: str
    size: int
    sha256: str


class Listed(BaseModel):
    """What the manifest of every version has; whatever else is in it is not read."""

    model_config = ConfigDict(defer_build=True)

    schema_version: int
    name: str
    key: str
    files: tuple[ListedFile, ...]


def name_among(names: Collection[str]) -> str:
    """What the manifest of a package is called that has files of these names at its top: as today, or as in packages made before."""
    return OLD_MANIFEST if MANIFEST not in names and OLD_MANIFEST in names else MANIFEST


def file_in(package: Path) -> Path:
    """The manifest's file in the folder of a package, whichever name it has; the path of today's name if there is none."""
    return package / name_among([name for name in MANIFESTS if (package / name).is_file()])


def is_package(folder: Path) -> bool:
    """Whether the folder has the manifest of a package, of this version or another."""
    try:
        Listed.model_validate_json(file_in(folder).read_bytes())
    except (OSError, ValidationError):
        return False
    return True
