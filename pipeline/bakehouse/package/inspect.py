"""Hold a package that came from elsewhere against what travels with it: checksums, manifest, provenance, recipe. No store is needed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bakehouse.errors import Failure
from bakehouse.package import checksums, contents, provenance
from bakehouse.package.file_names import CHECKSUMS, PROOFS, PROVENANCE, RECIPE, SIGNATURE
from bakehouse.package.manifest import PackageManifest
from bakehouse.package.provenance import Statement
from bakehouse.recipe import loader
from bakehouse.recipe.loader import RecipeErrors
from bakehouse.recipe.recipe import Recipe, resolve
from bakehouse.recipe.types import printable
from bakehouse.records import FileRecord
from bakehouse.store import files, package_files
from bakehouse.store.package_files import MANIFEST, MANIFESTS, Listed

# Without one of these it cannot be told what the package is, whatever the others say.
_ALWAYS = (CHECKSUMS, PROVENANCE, RECIPE)
_Document = TypeVar("_Document", bound=BaseModel)


@dataclass(frozen=True)
class Inspection:
    """What was found: how many files of how many bytes, what is wrong with them (a sentence each), and what was left aside.

    Name, faults and paths are fit for a terminal, whatever the package's files are called.
    """

    name: str
    files: int
    size_bytes: int
    signed: bool
    faults: tuple[str, ...]
    beside: tuple[str, ...]
    newer: bool = False


def inspect(folder: Path) -> Inspection:
    """Hash every file of a package and hold it against every list in it, and the lists against each other.

    Nothing in it is trusted: whatever cannot be read is a fault. Whoever changes a file and all lists with it is not noticed here:
    against that there is the signature.

    Raises:
        Failure: the folder is no package.
    """
    found = contents.look(folder)
    name = package_files.name_among(found.own)
    if name not in found.own:
        raise Failure(
            f"there is no {MANIFEST}, so this is not a package", where=str(folder), remedy=f"name the folder that holds {MANIFEST}"
        )
    there, unread = _hashed(folder, found.own)
    manifest, statement, lists, unclear = _lists(folder, name, there)
    newer = _newer(folder / name) if manifest is None and name in there else None
    if newer:
        lists[name] = {file.path: file.sha256 for file in newer.files}
        unclear = [fault for fault in unclear if not fault.startswith((f"{name}: ", f"{PROVENANCE}: "))]
    faults = [*found.faults, *unread, *unclear, *_against(found.own, there, lists)]
    if manifest and statement:
        faults += _disagreements(name, manifest, statement)
    if manifest and RECIPE in there:
        faults += _recipe(name, manifest, folder / RECIPE)
    return Inspection(
        name=manifest.name if manifest else printable(newer.name if newer else folder.name),
        files=len(found.own),
        size_bytes=sum(record.size for record in there.values()),
        signed=SIGNATURE in found.own,
        faults=tuple(map(printable, dict.fromkeys(faults))),
        beside=tuple(map(printable, found.beside)),
        newer=newer is not None,
    )


def _newer(path: Path) -> Listed | None:
    """The manifest of a package that a later Bakehouse made; None if it is of this version, or wrong in another way.

    A later one has a higher schema version or fields that this one does not have, and is otherwise well-formed.
    """
    try:
        PackageManifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        if all(one["type"] == "extra_forbidden" or one["loc"] == ("schema_version",) for one in error.errors(include_url=False)):
            with suppress(ValidationError):
                listed = Listed.model_validate_json(path.read_bytes())
                return listed if listed.schema_version >= 1 else None
    return None


def _hashed(folder: Path, names: Collection[str]) -> tuple[dict[str, FileRecord], list[str]]:
    """The records of the files that can be read, two hashed at a time, and a sentence for each of the others."""

    def record(name: str) -> FileRecord | str:
        path = folder / name
        try:
            return FileRecord(path=name, size=path.stat().st_size, sha256=files.sha256(path))
        except OSError as error:
            return f"{name}: cannot be read: {error.strerror}"

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(record, names))
    there = {one.path: one for one in found if isinstance(one, FileRecord)}
    return there, [one for one in found if isinstance(one, str)]


def _lists(
    folder: Path, name: str, there: Collection[str]
) -> tuple[PackageManifest | None, Statement | None, dict[str, dict[str, str]], list[str]]:
    """Manifest, provenance, what each of the package's lists says (list -> path -> sha256), and why one cannot be read."""
    lists: dict[str, dict[str, str]] = {}
    faults: list[str] = []
    manifest = _document(PackageManifest, folder, name, there, faults)
    statement = _document(Statement, folder, PROVENANCE, there, faults)
    if manifest:
        lists[name] = {file.path: file.sha256 for file in manifest.files}
    if statement:
        lists[PROVENANCE] = {one.name: one.digest.sha256 for one in statement.subject}
    if CHECKSUMS in there:
        try:
            lists[CHECKSUMS] = checksums.read(folder / CHECKSUMS)
        except Failure as failure:
            faults.append(f"{failure.where}: {failure.what}")
    return manifest, statement, lists, faults


def _document(kind: type[_Document], folder: Path, name: str, there: Collection[str], faults: list[str]) -> _Document | None:
    """A JSON document of the package; None if it is not there or, which is added to the faults, is not of its kind."""
    try:
        return kind.model_validate_json((folder / name).read_bytes()) if name in there else None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        faults.append(f"{name}: cannot be read: {'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}")
        return None


def _against(own: Collection[str], there: Mapping[str, FileRecord], lists: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A sentence for every file that is missing, changed, or in no list; the lists that say so are named."""
    for path in sorted({*_ALWAYS, *(path for listed in lists.values() for path in listed)}.difference(own)):
        names = [name for name, listed in lists.items() if path in listed]
        yield f"{path}: missing{'; listed in ' * bool(names)}{_and(names)}"
    for path, record in sorted(there.items()):
        says = {name: listed[path] for name, listed in lists.items() if path in listed}
        if not says and path not in (CHECKSUMS, SIGNATURE):
            yield f"{path}: does not belong here; no list of the package has it"
        for digest in sorted({digest for digest in says.values() if digest != record.sha256}):
            names = [name for name, said in says.items() if said == digest]
            yield f"{path}: content changed (sha256 {record.sha256[:12]}…, should be {digest[:12]}… by {_and(names)})"
        for name in lists:
            if path not in lists[name] and says and path not in _outside(name):
                yield f"{path}: not listed in {name}"


def _outside(name: str) -> tuple[str, ...]:
    """The files that a list cannot have, because they are made from it."""
    if name in MANIFESTS:
        return (name, *PROOFS)
    return {PROVENANCE: (PROVENANCE, CHECKSUMS), CHECKSUMS: (CHECKSUMS,)}[name]


def _and(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def _disagreements(name: str, manifest: PackageManifest, statement: Statement) -> Iterator[str]:
    """Where the provenance is not that of this manifest."""
    definition = statement.predicate.build_definition
    asked = definition.external_parameters
    if asked.build != manifest.build.build or not _same_builds(asked.recipe, manifest):
        yield f"{PROVENANCE}: its recipe is not the one of {name}"
    if definition.internal_parameters.key != manifest.key:
        yield f"{PROVENANCE}: its key is not the one of {name}"
    if [one for one in provenance.source_files(manifest) if one not in definition.resolved_dependencies]:
        yield f"{PROVENANCE}: its source files are not those of {name}"


def _recipe(name: str, manifest: PackageManifest, path: Path) -> Iterator[str]:
    """Whether the recipe in the package is that of its manifest, and the names in both are one."""
    if manifest.name != manifest.build.name:
        yield f"{name}: its name is not that of its build"
    try:
        recipe = loader.load(path)
    except RecipeErrors as errors:
        first = errors.diagnostics[0]
        yield f"{RECIPE}: line {first.span.line + 1}: {first.what}"
    except Failure as failure:
        yield f"{RECIPE}: {failure.what}"
    else:
        if not _same_builds(recipe, manifest):
            yield f"{RECIPE}: not the recipe of {name}"


def _same_builds(recipe: Recipe, manifest: PackageManifest) -> bool:
    """Whether a recipe comes to the builds of the manifest."""
    return [resolve(recipe, short) for short in recipe.builds] == [member.build for member in manifest.members or (manifest,)]
