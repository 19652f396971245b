"""Compare a package from elsewhere with the records in it: checksums, manifest, provenance, recipe. No store is needed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bakehouse.errors import Failure
from bakehouse.package import checksums, listing, provenance
from bakehouse.package.file_names import CHECKSUMS, PROOFS, PROVENANCE, RECIPE, SIGNATURE
from bakehouse.package.listing import Listing
from bakehouse.package.manifest import PackageManifest
from bakehouse.package.provenance import Statement
from bakehouse.recipe import loader
from bakehouse.recipe.loader import RecipeErrors
from bakehouse.recipe.recipe import Recipe
from bakehouse.recipe.resolved import resolve
from bakehouse.recipe.types import printable
from bakehouse.records import FileRecord
from bakehouse.store import files, package_files
from bakehouse.store.package_files import MANIFEST, MANIFESTS, Listed

# Without one of these nobody can know what the package is, whatever the others contain.
_ALWAYS = (CHECKSUMS, PROVENANCE, RECIPE)
_Document = TypeVar("_Document", bound=BaseModel)


@dataclass(frozen=True)
class Inspection:
    """What was found: how many files of how many bytes, what is wrong with them (a sentence each), and what was not checked (`extra`).

    Name, faults and paths are fit for a terminal, whatever the package's files are called. `profile`: how a delivered folder is laid out.
    """

    name: str
    files: int
    size_bytes: int
    signed: bool
    faults: tuple[str, ...]
    extra: tuple[str, ...]
    newer: bool = False
    profile: str = ""


def inspect(folder: Path) -> Inspection:
    """Hash every file of a package, compare it with every list in the package, and compare the lists with each other.

    Nothing in the package is trusted: whatever cannot be read is a fault. Someone who changes a file and all lists is not noticed here;
    the signature protects against that.

    Raises:
        Failure: the folder is not a package.
    """
    found = listing.look(folder)
    name = package_files.name_among(found.own)
    if name not in found.own:
        raise Failure(
            f"The folder has no {MANIFEST}, so it is not a package.", where=str(folder), remedy=f"Name the folder that holds {MANIFEST}."
        )
    present, unread = _hashed(folder, found.own)
    manifest, statement, lists, unclear = _lists(folder, name, present)
    newer = _newer(folder / name) if manifest is None and name in present else None
    if newer:
        lists[name] = {file.path: file.sha256 for file in newer.files}
        unclear = [fault for fault in unclear if not fault.startswith((f"{name}: ", f"{PROVENANCE}: "))]
    faults = [*found.faults, *unread, *unclear, *_against(found.own, present, lists)]
    if manifest and statement:
        faults += _disagreements(name, manifest, statement)
    if manifest and RECIPE in present:
        faults += _recipe(name, manifest, folder / RECIPE)
    return Inspection(
        name=manifest.name if manifest else printable(newer.name if newer else folder.name),
        files=len(found.own),
        size_bytes=sum(record.size for record in present.values()),
        signed=SIGNATURE in found.own,
        faults=tuple(map(printable, dict.fromkeys(faults))),
        extra=tuple(map(printable, found.extra)),
        newer=newer is not None,
    )


def hashed(folder: Path) -> tuple[Listing, dict[str, FileRecord], list[str]]:
    """The files of any folder, the records of those that can be read, and a sentence for each entry that is not a readable file."""
    found = listing.look(folder)
    present, unread = _hashed(folder, found.own)
    return found, present, [*found.faults, *unread]


def _newer(path: Path) -> Listed | None:
    """The manifest of a package that a later Bakehouse made; None if it is of this version, or damaged.

    A later manifest has a higher schema version or fields that are unknown here, and is otherwise well-formed.
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
    present = {one.path: one for one in found if isinstance(one, FileRecord)}
    return present, [one for one in found if isinstance(one, str)]


def _lists(
    folder: Path, name: str, present: Collection[str]
) -> tuple[PackageManifest | None, Statement | None, dict[str, dict[str, str]], list[str]]:
    """Manifest, provenance, what each of the package's lists has (list -> path -> sha256), and why one cannot be read."""
    lists: dict[str, dict[str, str]] = {}
    faults: list[str] = []
    manifest = _document(PackageManifest, folder, name, present, faults)
    statement = _document(Statement, folder, PROVENANCE, present, faults)
    if manifest:
        lists[name] = {file.path: file.sha256 for file in manifest.files}
    if statement:
        lists[PROVENANCE] = {one.name: one.digest.sha256 for one in statement.subject}
    if CHECKSUMS in present:
        try:
            lists[CHECKSUMS] = checksums.read(folder / CHECKSUMS)
        except Failure as failure:
            faults.append(f"{failure.where}: {failure.what}")
    return manifest, statement, lists, faults


def _document(kind: type[_Document], folder: Path, name: str, present: Collection[str], faults: list[str]) -> _Document | None:
    """A JSON document of the package; None if it is missing, or if it cannot be read, which is added to the faults."""
    try:
        return kind.model_validate_json((folder / name).read_bytes()) if name in present else None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        faults.append(f"{name}: cannot be read: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}")
        return None


def _against(own: Collection[str], present: Mapping[str, FileRecord], lists: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A sentence for every file that is missing, changed, or not listed; the lists are named."""
    for path in sorted({*_ALWAYS, *(path for listed in lists.values() for path in listed)}.difference(own)):
        names = [name for name, listed in lists.items() if path in listed]
        yield f"{path}: missing{'; listed in ' * bool(names)}{_and(names)}"
    for path, record in sorted(present.items()):
        digests = {name: listed[path] for name, listed in lists.items() if path in listed}
        if not digests and path not in (CHECKSUMS, SIGNATURE):
            yield f"{path}: does not belong here; it is in none of the package's lists"
        for digest in sorted({digest for digest in digests.values() if digest != record.sha256}):
            names = [name for name, listed in digests.items() if listed == digest]
            yield f"{path}: content changed (sha256 {record.sha256[:12]}…, should be {digest[:12]}… according to {_and(names)})"
        for name in lists:
            if path not in lists[name] and digests and path not in _outside(name):
                yield f"{path}: not listed in {name}"


def _outside(name: str) -> tuple[str, ...]:
    """The files that a list cannot have, because they are made from it."""
    if name in MANIFESTS:
        return (name, *PROOFS)
    return {PROVENANCE: (PROVENANCE, CHECKSUMS), CHECKSUMS: (CHECKSUMS,)}[name]


def _and(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def _disagreements(name: str, manifest: PackageManifest, statement: Statement) -> Iterator[str]:
    """Where provenance and manifest differ."""
    definition = statement.predicate.build_definition
    external = definition.external_parameters
    if external.build != manifest.build.build or not _same_builds(external.recipe, manifest):
        yield f"{PROVENANCE}: its recipe differs from {name}"
    if definition.internal_parameters.key != manifest.key:
        yield f"{PROVENANCE}: its key differs from {name}"
    if [one for one in provenance.source_files(manifest) if one not in definition.resolved_dependencies]:
        yield f"{PROVENANCE}: its source files differ from {name}"


def _recipe(name: str, manifest: PackageManifest, path: Path) -> Iterator[str]:
    """Where the recipe in the package and its manifest differ."""
    if manifest.name != manifest.build.name:
        yield f"{name}: its name differs from its build's"
    try:
        recipe = loader.load(path)
    except RecipeErrors as errors:
        first = errors.diagnostics[0]
        yield f"{RECIPE}: line {first.span.line + 1}: {first.what}"
    except Failure as failure:
        yield f"{RECIPE}: {failure.what}"
    else:
        if not _same_builds(recipe, manifest):
            yield f"{RECIPE}: it differs from the recipe in {name}"


def _same_builds(recipe: Recipe, manifest: PackageManifest) -> bool:
    """Whether a recipe gives the builds of the manifest."""
    return [resolve(recipe, short) for short in recipe.builds] == [member.build for member in manifest.members or (manifest,)]
