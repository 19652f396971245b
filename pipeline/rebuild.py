"""Build a package again from the recipe inside it, in a store of its own, and compare every file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline import files, loader, plan, preflight
from pipeline.errors import Failure
from pipeline.inspection import RECIPE, SIGNATURE
from pipeline.manifest import BOM, CHECKSUMS, PROVENANCE, PackageManifest
from pipeline.plan import Build
from pipeline.process import Children
from pipeline.session import Session
from pipeline.sources import local
from pipeline.stages import dispatch
from pipeline.stages.package import CARD
from pipeline.store import MANIFEST, Store

# They tell when, where and how fast it was made; what else is in them is compared through the manifest.
_RECORDS = (MANIFEST, CARD, BOM, PROVENANCE, CHECKSUMS)
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


def read(package: Path) -> PackageManifest:
    """The manifest of a package.

    Raises:
        Failure: there is none.
    """
    try:
        return PackageManifest.model_validate_json((package / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        remedy = f"name a build that is built, or a folder that holds a {MANIFEST}"
        raise Failure(f"there is no package with a {MANIFEST} that can be read", where=str(package), remedy=remedy) from error


def build_again(
    package: Path, recipes: Path, own: Store, folder: Path, children: Children, say: Callable[[str], None]
) -> tuple[Path, Comparison]:
    """Build the package again below `folder`; where the new one is, and how it compares.

    A source that `own`, this machine's store, holds is taken from there and hashed; local files are looked for in `recipes`.

    Raises:
        Failure: it cannot be built here, or a step failed.
    """
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
    own = folder / "recipes"
    own.mkdir(parents=True)
    shutil.copyfile(package / RECIPE, own / f"{manifest.build.recipe}.yaml")
    for path in _beside(yaml.safe_load((package / RECIPE).read_text(encoding="utf-8"))):
        origin = local.resolve(recipes, path)
        target = own / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(origin, target) if origin.is_dir() else shutil.copyfile(origin, target)
    planned = plan.make(loader.load_all(own), partial(local.fingerprint, cache=folder / "fingerprints.json"))
    build = planned.build(manifest.name)
    if build is None:
        raise Failure(
            f"{RECIPE} does not make {manifest.name}", where=str(package), remedy="`doit verify --package` says what is wrong with it"
        )
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
        for name, version in manifest.tools.items()
        if here.get(name) != version
    ]


def compare(old: Path, new: Path) -> Comparison:
    """Compare every file of two packages, the records of when and how fast by what else they say."""
    there = {path.relative_to(old).as_posix() for path in files.walk(old)} - {SIGNATURE}
    again = {path.relative_to(new).as_posix() for path in files.walk(new)}
    differs = [f"{path}: not made again" for path in sorted(there - again)] + [f"{path}: is new" for path in sorted(again - there)]
    same, apart = [], []
    for path in sorted(there & again):
        if Path(path).name in _RECORDS:
            apart.append(f"{path}: made anew, with times and measurements of its own")
        elif difference := different_bytes(old / path, new / path):
            compiled = path.endswith(".blob") and (old / path).stat().st_size == (new / path).stat().st_size
            # Two runs of the NPU compiler differ in some bytes (OpenVINO 2026.4.1); platform and compiler are `measured`: see below.
            (apart if compiled else differs).append(f"{path}: {difference}")
        else:
            same.append(path)
    return Comparison(tuple(same), (*differs, *_told_otherwise(read(old), read(new))), tuple(apart))


def different_bytes(one: Path, other: Path) -> str:
    """How two files differ, in words; "" if they do not."""
    sizes = one.stat().st_size, other.stat().st_size
    if sizes[0] != sizes[1]:
        return f"{sizes[1]:,} bytes, was {sizes[0]:,}"
    count = at = 0
    first = -1
    with one.open("rb") as left, other.open("rb") as right:
        while block := left.read(_BLOCK_BYTES):
            opposite = right.read(_BLOCK_BYTES)
            if block != opposite:
                places = [place for place, (a, b) in enumerate(zip(block, opposite, strict=True)) if a != b]
                count += len(places)
                first = at + places[0] if first < 0 else first
            at += len(block)
    return f"{count:,} of {sizes[0]:,} bytes differ, the first at {first:,}" if count else ""


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
