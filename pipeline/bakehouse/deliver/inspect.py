"""Compare a delivered folder with its record and with the manifest of the package that it was made from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bakehouse.deliver.record import Delivery
from bakehouse.package import inspect as inspection
from bakehouse.package.file_names import DELIVERY, PROOFS, SIGNATURE
from bakehouse.package.inspect import Inspection
from bakehouse.recipe.types import printable
from bakehouse.records import FileRecord
from bakehouse.store.package_files import MANIFEST, Listed

_OWN = (MANIFEST, DELIVERY)
_Document = TypeVar("_Document", bound=BaseModel)


def is_delivered(folder: Path) -> bool:
    """Whether a folder says of itself that it was delivered."""
    return (folder / DELIVERY).is_file()


def inspect(folder: Path) -> Inspection:
    """Hash every file of a delivered folder and compare it with the record; compare the record with the package's manifest.

    As in a package, nothing here is trusted, and who changes a file and both lists is not noticed.
    """
    found, present, faults = inspection.hashed(folder)
    record = _read(Delivery, folder / DELIVERY, faults)
    manifest = _read(Listed, folder / MANIFEST, faults)
    if record:
        faults += _differing(record, present)
    if record and manifest:
        faults += _disagreeing(record, manifest)
    return Inspection(
        name=printable(record.name if record else folder.name),
        files=len(found.own),
        size_bytes=sum(one.size for one in present.values()),
        signed=False,
        faults=tuple(map(printable, dict.fromkeys(faults))),
        extra=tuple(map(printable, found.extra)),
        profile=printable(f"{record.profile}, version {record.profile_version}") if record else "?",
    )


def _read(kind: type[_Document], path: Path, faults: list[str]) -> _Document | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError:
        faults.append(f"{path.name}: missing")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        faults.append(f"{path.name}: cannot be read: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}")
    return None


def _differing(record: Delivery, present: dict[str, FileRecord]) -> Iterator[str]:
    """A sentence for each file that is missing, changed, or not in the record."""
    listed = {one.path: one for one in record.files}
    for path in sorted(listed.keys() - present.keys()):
        yield f"{path}: missing; listed in {DELIVERY}"
    for path, one in sorted(present.items()):
        if path in listed and listed[path].sha256 != one.sha256:
            yield (f"{path}: content changed (sha256 {one.sha256[:12]}…, should be {listed[path].sha256[:12]}… according to {DELIVERY})")
        elif path == MANIFEST and record.manifest_sha256 not in ("", one.sha256):
            yield f"{path}: content changed since it was delivered, according to {DELIVERY}"
        elif path not in listed and path not in _OWN:
            yield f"{path}: does not belong here; it is not in {DELIVERY}"


def _disagreeing(record: Delivery, manifest: Listed) -> Iterator[str]:
    """Where the record is not about the package of the manifest, file by file."""
    if (record.name, record.key) != (manifest.name, manifest.key):
        yield f"{DELIVERY}: it is about another package than {MANIFEST}"
    digests = {file.path: file.sha256 for file in manifest.files}
    sources = [(one, path) for one in record.carried for path in (one.package_path, *one.also)]
    for one, path in sources:
        if digests.get(path) != one.sha256:
            yield f"{one.path}: is not the package's {path}, as {MANIFEST} has it"
    used = {*(path for _, path in sources), *(one.package_path for one in record.replaced)}
    for path in sorted(digests.keys() - used):
        yield f"{path}: is in the package, and {DELIVERY} does not say what became of it"
    for path in sorted(set(record.left_out) - {*PROOFS, SIGNATURE}):
        yield f"{path}: must not be left out"
