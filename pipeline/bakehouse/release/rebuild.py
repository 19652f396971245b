"""Build a package again from the recipe inside it, in a store of its own, and compare every file."""

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
from bakehouse.package import contents
from bakehouse.package import inspect as inspection
from bakehouse.package import manifest as manifests
from bakehouse.package.file_names import CARD, PROOFS, RECIPE, SIGNATURE
from bakehouse.package.manifest import PackageManifest
from bakehouse.plan import plan
from bakehouse.plan.plan import Build
from bakehouse.recipe import loader
from bakehouse.sources import local
from bakehouse.stages import dispatch, preflight
from bakehouse.store import files, package_files
from bakehouse.store.package_files import MANIFEST
from bakehouse.store.store import Store

# At the top of a package, be it of one build or of several: they tell when, where and how fast it was made, and what else is in them
# is compared through the manifest. A file of the same name in a folder is one like any other.
_RECORDS = (MANIFEST, CARD, *PROOFS)
# Two runs of the NPU compiler on one model differ in some 100 bytes (OpenVINO 2026.4.1); a share of them that no other model would keep to.
_BLOB_SHARE = 0.01
_JSON = TypeAdapter(dict[str, Any])
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Comparison:
    """How a package and the one made again differ; sentences.

    Attributes:
        same: paths with the same bytes.
        differs: what should be the same and is not.
        apart: what cannot be the same, and how far it could be compared.
    """

    same: tuple[str, ...]
    differs: tuple[str, ...]
    apart: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """How the bytes of two files differ: their sizes, in how many bytes (of files of one size), and where first."""

    old_size: int
    new_size: int
    count: int = 0
    first: int = 0

    def __str__(self) -> str:
        if self.old_size != self.new_size:
            return f"{self.new_size:,} bytes, was {self.old_size:,}"
        return f"{self.count:,} of {self.old_size:,} bytes differ, the first at {self.first:,}"


def read(package: Path) -> PackageManifest:
    """The manifest of a package that was made here or was found to be whole."""
    return manifests.read(package)


def build_again(
    package: Path, recipes: Path, own: Store, folder: Path, children: Children, say: Callable[[str], None]
) -> tuple[Path, Comparison]:
    """Build the package again below `folder`; where the new one is, and how it compares.

    A source that `own`, this machine's store, holds is taken from there and hashed; local files are looked for in `recipes`.

    Raises:
        Failure: the package is not what its own lists say, it cannot be built here, or a step failed.
    """
    if faults := inspection.inspect(package).faults:
        what = "the package is not what its own lists say, so nothing in it is used"
        raise Failure(what, where=str(package), details=faults, remedy="get it anew")
    manifest = read(package)
    build = _planned(package, manifest, recipes, folder)
    for line in other_versions(manifest, build):
        say(line)
    fresh = Session(Store(folder / "artifacts"), children=children)
    for step in build.package.closure():
        if step.kind == "download" and own.has(step) and not own.damage(step, thorough=True):
            shutil.copytree(own.folder(step), fresh.store.folder(step), copy_function=_link)
            say(f"source   {step.label}: taken from this machine's store, every file hashed")
    preflight.check([build], fresh)
    for step in build.package.closure():
        if not fresh.store.has(step):
            say(f"making   {step.kind} of {step.label}")
            dispatch.run(step, fresh)
    again = fresh.store.files(build.package)
    return again, compare(package, again)


def _planned(package: Path, manifest: PackageManifest, recipes: Path, folder: Path) -> Build:
    """The build of the package's own recipe, planned from a folder that holds nothing else."""
    recipe = loader.load(package / RECIPE)
    own = folder / "recipes"
    own.mkdir(parents=True)
    shutil.copyfile(package / RECIPE, own / f"{recipe.name}.yaml")
    for path in _beside(recipe.model_dump(mode="json")):
        origin = local.resolve(recipes, path)
        target = own / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(origin, target) if origin.is_dir() else shutil.copyfile(origin, target)
    planned = plan.make(loader.load_all(own), partial(local.fingerprint, cache=folder / "fingerprints.json"))
    build = planned.build(manifest.name)
    if build is None:
        raise Failure(f"{RECIPE} does not make {manifest.name}", where=str(package), remedy="get the package anew")
    return build


def _beside(recipe: Any) -> Iterator[str]:
    """The local paths that a recipe names, wherever in it."""
    if isinstance(recipe, dict):
        if recipe.get("type") in ("local", "file") and isinstance(recipe.get("path"), str):
            yield recipe["path"]
        for value in recipe.values():
            yield from _beside(value)


def _link(source: str, target: str) -> str:
    files.link(Path(source), Path(target))
    return target


def other_versions(manifest: PackageManifest, build: Build) -> list[str]:
    """A line for each tool that is here in another version than the manifest names."""
    here = {name: version for step in build.package.closure() for name, version in step.tools.items()}
    return [
        f"version  {name} {here.get(name, 'is not here')}, the package was made with {version}"
        for name, version in sorted((manifest.tools | manifest.reference_tools).items())
        if here.get(name) != version
    ]


def compare(old: Path, new: Path) -> Comparison:
    """Compare every file of two packages, the records of when and how fast by what else they say."""
    there, again = _own(old) - {SIGNATURE}, _own(new)
    differs = [f"{path}: not made again" for path in sorted(there - again)] + [f"{path}: is new" for path in sorted(again - there)]
    same, apart = [], []
    for path in sorted(there & again):
        if path in _RECORDS:  # before their bytes are compared: the manifest of the older one may have its older name
            apart.append(f"{path}: made anew, with times and measurements of its own")
        elif difference := different_bytes(old / path, new / path):
            allowed = _compiled(path, difference) or _tells_of_blob(old / path, new / path)
            (apart if allowed else differs).append(f"{path}: {difference}{allowed}")
        else:
            same.append(path)
    return Comparison(tuple(same), (*differs, *_told_otherwise(read(old), read(new))), tuple(apart))


def _own(package: Path) -> set[str]:
    """The files of a package; its manifest by today's name."""
    own = set(contents.look(package).own)
    return own - {package_files.name_among(own)} | {MANIFEST}


def _compiled(path: str, difference: Difference) -> str:
    """Why the blob of a compiler may differ like that; "" if it may not, or is none. Platform and compiler are `measured`: see below."""
    few = difference.old_size == difference.new_size and difference.count <= _BLOB_SHARE * difference.old_size
    return f"; of a compiled blob up to {_BLOB_SHARE:.0%} may" if path.endswith(".blob") and few else ""


def _tells_of_blob(old: Path, new: Path) -> str:
    """Why the description beside a blob may differ: because the blob's sha256 is in it; "" if it is none, or differs in more than that."""
    if old.suffix != ".json" or not (old.with_suffix(".blob").is_file() and new.with_suffix(".blob").is_file()):
        return ""
    try:
        one, other = (_JSON.validate_json(path.read_bytes()) for path in (old, new))
    except ValidationError:
        return ""
    return "; only the blob's sha256 does" if {**one, "blob_sha256": ""} == {**other, "blob_sha256": ""} else ""


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


def _told_otherwise(old: PackageManifest, new: PackageManifest) -> Iterator[str]:
    """What the two manifests say otherwise of the same thing; times and speeds aside."""
    for what, one, other in (
        ("the build", old.build, new.build),
        ("the source's files", old.source.files, new.source.files),
        ("what was measured", old.measured, new.measured),
        ("the answers", [verdict.tokens for verdict in old.verdicts], [verdict.tokens for verdict in new.verdicts]),
    ):
        if one != other:
            yield f"{MANIFEST}: {what} is not the same" if not what.endswith("s") else f"{MANIFEST}: {what} are not the same"


def place(store: Store) -> Path:
    """An empty folder for a rebuild, on the disk of the store; what the last one left there is gone."""
    folder = store.root / ".rebuild"
    files.remove(folder)
    folder.mkdir(parents=True)
    return folder
