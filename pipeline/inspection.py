"""Hold a package that came from elsewhere against what travels with it: checksums, manifest, provenance, recipe. No store is needed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline import files, proof, provenance
from pipeline.errors import Failure
from pipeline.manifest import BOM, CHECKSUMS, PROVENANCE, FileRecord, PackageManifest
from pipeline.recipe import Recipe, ResolvedBuild, resolve
from pipeline.store import MANIFEST

SIGNATURE = "model.sig"
RECIPE = "recipe.yaml"
# What a hub's client leaves in a folder that it filled; no runtime reads it.
_BESIDE = (".gitattributes", ".cache/huggingface/", ".git/")


@dataclass(frozen=True)
class Inspection:
    """What was found: how many files of how many bytes, what is wrong with them (a sentence each), and what was left aside."""

    name: str
    files: int
    size_bytes: int
    signed: bool
    faults: tuple[str, ...]
    beside: tuple[str, ...]


def inspect(folder: Path) -> Inspection:
    """Hash every file of a package and hold it against every list in it, and the lists against each other.

    Whoever changes a file and all lists with it is not noticed here: against that there is the signature.

    Raises:
        Failure: the folder is no package.
    """
    if not (folder / MANIFEST).is_file():
        raise Failure(
            f"there is no {MANIFEST}, so this is no package", where=str(folder), remedy="name the folder that holds manifest.json"
        )
    paths, odd = _regular(folder)
    beside = tuple(name for name in paths if name.startswith(_BESIDE))
    there = {record.path: record for record in files.records_of(folder, [folder / name for name in paths if name not in beside])}
    manifest, statement, lists, unread = _lists(folder)
    faults = [f"{name}: neither a regular file nor a folder" for name in odd] + unread + list(_against(there, lists))
    if manifest and statement:
        faults += _disagreements(manifest, statement)
    if manifest and RECIPE in there:
        faults += _recipe(manifest, folder / RECIPE)
    size = sum(record.size for record in there.values())
    name = manifest.name if manifest else folder.name
    return Inspection(name, len(there), size, SIGNATURE in there, tuple(dict.fromkeys(faults)), beside)


def _lists(folder: Path) -> tuple[PackageManifest | None, dict[str, Any] | None, dict[str, dict[str, str]], list[str]]:
    """Manifest, provenance, what each of the package's lists says (list -> path -> sha256), and why one cannot be read."""
    manifest, statement, faults = None, None, []
    lists: dict[str, dict[str, str]] = {}
    try:
        manifest = PackageManifest.model_validate_json((folder / MANIFEST).read_bytes())
        lists[MANIFEST] = {file.path: file.sha256 for file in manifest.files}
    except ValidationError as error:
        first = error.errors()[0]
        faults.append(f"{MANIFEST}: cannot be read: {'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}")
    try:
        statement = json.loads((folder / PROVENANCE).read_bytes())
        lists[PROVENANCE] = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    except (OSError, ValueError, KeyError, TypeError):
        faults.append(f"{PROVENANCE}: {'cannot be read' if (folder / PROVENANCE).exists() else 'missing'}")
        statement = None
    try:
        lists[CHECKSUMS] = proof.read_checksums(folder / CHECKSUMS)
    except FileNotFoundError:
        faults.append(f"{CHECKSUMS}: missing")
    except Failure as failure:
        faults.append(f"{failure.where}: {failure.what}")
    return manifest, statement, lists, faults


def _regular(folder: Path) -> tuple[list[str], list[str]]:
    """Paths of the regular files below a folder, and of what is neither a file nor a folder (a link, a device)."""
    regular, odd = [], []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            odd.append(name)
        elif path.is_file():
            regular.append(name)
    return regular, odd


def _against(there: Mapping[str, FileRecord], lists: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A sentence for every file that is missing, changed, or in no list; the lists that say so are named."""
    for path in sorted({path for listed in lists.values() for path in listed} - there.keys()):
        yield f"{path}: missing; listed in {_and([name for name, listed in lists.items() if path in listed])}"
    for path, record in sorted(there.items()):
        says = {name: listed[path] for name, listed in lists.items() if path in listed}
        if not says and path not in (CHECKSUMS, SIGNATURE):
            yield f"{path}: does not belong here; no list of the package has it"
        for digest in sorted({digest for digest in says.values() if digest != record.sha256}):
            names = _and([name for name, said in says.items() if said == digest])
            yield f"{path}: content changed (sha256 {record.sha256[:12]}…, should be {digest[:12]}… by {names})"
        for name in lists:
            if path not in lists[name] and says and path not in _outside(name):
                yield f"{path}: not listed in {name}"


def _outside(name: str) -> tuple[str, ...]:
    """The files that a list cannot have, because they are made from it."""
    made = (MANIFEST, BOM, PROVENANCE, CHECKSUMS)
    return {MANIFEST: made, PROVENANCE: (PROVENANCE, CHECKSUMS), CHECKSUMS: (CHECKSUMS,)}[name]


def _and(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _disagreements(manifest: PackageManifest, statement: Mapping[str, Any]) -> Iterator[str]:
    """Where the provenance is not that of this manifest."""
    predicate = statement.get("predicate", {})
    definition = predicate.get("buildDefinition", {}) if isinstance(predicate, dict) else {}
    if (statement.get("_type"), statement.get("predicateType")) != (provenance.STATEMENT, provenance.PREDICATE):
        yield f"{PROVENANCE}: no in-toto statement with SLSA provenance v1"
        return
    asked = definition.get("externalParameters", {})
    if not _same_builds(asked.get("recipe"), manifest):
        yield f"{PROVENANCE}: its recipe is not the one of {MANIFEST}"
    if definition.get("internalParameters", {}).get("key") != manifest.key:
        yield f"{PROVENANCE}: its key is not the one of {MANIFEST}"
    dependencies = [one for one in definition.get("resolvedDependencies", []) if isinstance(one, dict)]
    if [one for one in provenance.source_files(manifest) if one not in dependencies]:
        yield f"{PROVENANCE}: its source files are not those of {MANIFEST}"


def _recipe(manifest: PackageManifest, path: Path) -> Iterator[str]:
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        written = None
    if not _same_builds(written, manifest):
        yield f"{RECIPE}: not the recipe of {MANIFEST}"


def _same_builds(written: object, manifest: PackageManifest) -> bool:
    """Whether a recipe, as it is written, comes to the builds of the manifest."""
    try:
        recipe = Recipe.model_validate_json(json.dumps(written))
        builds: list[ResolvedBuild] = [resolve(recipe, short) for short in recipe.builds]
    except (ValidationError, TypeError, ValueError):
        return False
    return builds == [member.build for member in manifest.members or (manifest,)]
