"""Build a package again from the recipe inside it, in a separate store, and compare every file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bakehouse.errors import Failure
from bakehouse.executor.process import Children
from bakehouse.executor.session import Session
from bakehouse.package import inspect, listing
from bakehouse.package import manifest as manifests
from bakehouse.package.file_names import CARD, PROOFS, RECIPE, SIGNATURE
from bakehouse.package.manifest import PackageManifest
from bakehouse.plan import plan
from bakehouse.plan.plan import Build
from bakehouse.recipe import loader
from bakehouse.recipe.types import is_local_path
from bakehouse.sources import local
from bakehouse.stages import dispatch, preflight
from bakehouse.store import files, package_files
from bakehouse.store.package_files import MANIFEST
from bakehouse.store.store import Store

# At the top of a package of one build or of several: they record when, where and how fast it was made; what else they hold
# is compared through the manifest. A file of the same name in a folder is compared like any other.
_RECORDS = (MANIFEST, CARD, *PROOFS)
# Two runs of the NPU compiler on one model differ in some 100 bytes (OpenVINO 2026.4.1); another model exceeds this share.
_BLOB_SHARE = 0.01
_JSON = TypeAdapter(dict[str, Any])
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Comparison:
    """How a package and its rebuild differ; sentences.

    Attributes:
        same: paths with the same bytes.
        differs: what should be the same and differs.
        exempt: what cannot be the same, and why.
    """

    same: tuple[str, ...]
    differs: tuple[str, ...]
    exempt: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """How the bytes of two files differ: their sizes; if these are equal, in how many bytes, and the first of them."""

    old_size: int
    new_size: int
    count: int = 0
    first: int = 0

    def __str__(self) -> str:
        if self.old_size != self.new_size:
            return f"{self.new_size:,} bytes, was {self.old_size:,}"
        return f"{self.count:,} of {self.old_size:,} bytes differ, the first at {self.first:,}"


def read(package: Path) -> PackageManifest:
    """The manifest of a package that was made here or was checked."""
    return manifests.read(package)


def build_again(
    package: Path, recipes: Path, own: Store, folder: Path, children: Children, say: Callable[[str], None]
) -> tuple[Path, Comparison]:
    """Build the package again below `folder`; return the new one's folder, and how the two compare.

    A source in `own`, this machine's store, is hashed and used; local files come from `recipes`.

    Raises:
        Failure: the package differs from its own lists, it cannot be built here, or a step failed.
    """
    if faults := inspect.inspect(package).faults:
        what = "The package differs from its own lists, so nothing in it is used."
        raise Failure(what, where=str(package), details=faults, remedy="Get the package again.")
    manifest = read(package)
    build = _planned(package, manifest, recipes, folder)
    for line in other_versions(manifest, build):
        say(line)
    fresh = Session(Store(folder / "artifacts"), children=children)
    for step in build.package.closure():
        if step.kind == "download" and own.has(step) and not own.damage(step, thorough=True):
            shutil.copytree(own.folder(step), fresh.store.folder(step), copy_function=_link)
            say(f"source   {step.label}: taken from this machine's store after hashing every file")
    preflight.check([build], fresh)
    for step in build.package.closure():
        if not fresh.store.has(step):
            say(f"making   {step.kind} of {step.label}")
            dispatch.run(step, fresh)
    again = fresh.store.files(build.package)
    return again, compare(package, again)


def _planned(package: Path, manifest: PackageManifest, recipes: Path, folder: Path) -> Build:
    """The build of the package's own recipe, planned from a folder with nothing else in it."""
    recipe = loader.load(package / RECIPE)
    own = folder / "recipes"
    own.mkdir(parents=True)
    shutil.copyfile(package / RECIPE, own / f"{recipe.name}.yaml")
    for path in _local_files(recipe.model_dump(mode="json")):
        origin = _provided(recipes, path)
        target = own / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(origin, target) if origin.is_dir() else shutil.copyfile(origin, target)
    planned = plan.make(loader.load_all(own), partial(local.fingerprint, cache=folder / "fingerprints.json"), confined=True)
    build = planned.build(manifest.name)
    if build is None:
        raise Failure(f"{RECIPE} has no build {manifest.name}.", where=str(package), remedy="Get the package again.")
    return build


def _provided(recipes: Path, path: str) -> Path:
    """Where local files lie that a package was made of; its recipe came with it, and may name nothing outside `recipes`."""
    if not local.path_of(recipes, path, confined=True).exists():
        remedy = f"A package does not hold what it was made of: put the same files at {recipes / path}."
        raise Failure(f"{path} does not exist.", where=str(recipes), remedy=remedy)
    return local.resolve(recipes, path, confined=True)


def _local_files(recipe: Any) -> Iterator[str]:
    """The local paths that a recipe names anywhere."""
    if isinstance(recipe, dict):
        yield from (value for name, value in recipe.items() if is_local_path(recipe, name))
    for value in recipe.values() if isinstance(recipe, dict) else recipe if isinstance(recipe, list) else ():
        yield from _local_files(value)


def _link(source: str, target: str) -> str:
    files.link(Path(source), Path(target))
    return target


def other_versions(manifest: PackageManifest, build: Build) -> list[str]:
    """A line for each tool whose version here differs from the manifest's."""
    here = {name: version for step in build.package.closure() for name, version in step.tools.items()}
    return [
        f"version  {name} {here.get(name, 'is not installed')}, the package was made with {version}"
        for name, version in sorted((manifest.tools | manifest.reference_tools).items())
        if here.get(name) != version
    ]


def compare(old: Path, new: Path) -> Comparison:
    """Compare every file of two packages; records of times and speeds are compared through the manifest."""
    first, again = _own(old) - {SIGNATURE}, _own(new)
    differs = [f"{path}: not made again" for path in sorted(first - again)] + [f"{path}: new" for path in sorted(again - first)]
    same, exempt = [], []
    for path in sorted(first & again):
        if path in _RECORDS:  # before their bytes are compared: the manifest of the older one may have its older name
            exempt.append(f"{path}: written again, with new times and measurements")
        elif difference := different_bytes(old / path, new / path):
            allowed = _compiled(path, difference) or _describes_blob(old / path, new / path)
            (exempt if allowed else differs).append(f"{path}: {difference}{allowed}")
        else:
            same.append(path)
    return Comparison(tuple(same), (*differs, *_manifest_differences(read(old), read(new))), tuple(exempt))


def _own(package: Path) -> set[str]:
    """The files of a package; its manifest by today's name."""
    own = set(listing.look(package).own)
    return own - {package_files.name_among(own)} | {MANIFEST}


def _compiled(path: str, difference: Difference) -> str:
    """Why a compiled blob may differ like that; "" if it may not, or is not a blob. Platform and compiler are `measured`: see below."""
    few = difference.old_size == difference.new_size and difference.count <= _BLOB_SHARE * difference.old_size
    return f"; a compiled blob may differ in up to {_BLOB_SHARE:.0%}" if path.endswith(".blob") and few else ""


def _describes_blob(old: Path, new: Path) -> str:
    """Why the description of a blob may differ: the blob's sha256 is in it; "" if it is not a description, or differs in more."""
    if old.suffix != ".json" or not (old.with_suffix(".blob").is_file() and new.with_suffix(".blob").is_file()):
        return ""
    try:
        one, other = (_JSON.validate_json(path.read_bytes()) for path in (old, new))
    except ValidationError:
        return ""
    return "; they are in the blob's sha256" if {**one, "blob_sha256": ""} == {**other, "blob_sha256": ""} else ""


def different_bytes(one: Path, other: Path) -> Difference | None:
    """How two files differ; None if they do not."""
    sizes = one.stat().st_size, other.stat().st_size
    if sizes[0] != sizes[1]:
        return Difference(*sizes)
    count = at = first = 0
    with one.open("rb") as left, other.open("rb") as right:
        while block := left.read(_BLOCK_BYTES):
            opposite = right.read(_BLOCK_BYTES)
            if block != opposite:
                places = [place for place, (a, b) in enumerate(zip(block, opposite, strict=True)) if a != b]
                first = first if count else at + places[0]
                count += len(places)
            at += len(block)
    return Difference(*sizes, count, first) if count else None


def _manifest_differences(old: PackageManifest, new: PackageManifest) -> Iterator[str]:
    """Where the two manifests differ, times and speeds aside."""
    for what, one, other in (
        ("the build", old.build, new.build),
        ("the source's files", old.source.files, new.source.files),
        ("what was measured", old.measured, new.measured),
        ("the answers", [verdict.tokens for verdict in old.verdicts], [verdict.tokens for verdict in new.verdicts]),
    ):
        if one != other:
            yield f"{MANIFEST}: {what} differs" if not what.endswith("s") else f"{MANIFEST}: {what} differ"


def place(store: Store) -> Path:
    """An empty folder for a rebuild, on the disk of the store; what the last rebuild left is removed."""
    folder = store.root / ".rebuild"
    files.remove(folder)
    folder.mkdir(parents=True)
    return folder
