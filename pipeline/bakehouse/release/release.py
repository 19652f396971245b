"""A release: an archive for each package, their proofs, and notes on what changed since the last release."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from bakehouse.errors import Failure
from bakehouse.package import checksums
from bakehouse.package import manifest as manifests
from bakehouse.package.file_names import BOM, CHECKSUMS, PROVENANCE, SIGNATURE
from bakehouse.package.manifest import PackageManifest
from bakehouse.package.markdown import code, text
from bakehouse.records import Written
from bakehouse.release import archive
from bakehouse.release.archive import Archive
from bakehouse.store import files
from bakehouse.text import size_text

RECORD = "release.json"
NOTES = "NOTES.md"
_MOST_NAMED = 10  # files in an error
# Works for an archive of one part, which has the archive's name, and of many: parts are joined only if the archive does not exist.
JOIN_AND_CHECK = "[ -f NAME.tar ] || cat NAME.tar.[0-9]* > NAME.tar && sha256sum --check NAME.tar.sha256 && tar xf NAME.tar"
# What `bakehouse check` imports: a check needs none of the tools that made the package.
_VERIFIER = (
    "Bakehouse, which made these packages, has the command `bakehouse`. In a checkout, with Python 3.11 or later, this is enough to check:",
    "",
    "```sh",
    "python -m pip install --no-deps . && python -m pip install --constraint constraints.txt pydantic PyYAML",
    "```",
    "",
    "To check a signature, install `model-signing` and `pyOpenSSL` as well; `bakehouse check --help` lists the options.",
    "",
    "Without Bakehouse, `sha256sum --check SHA256SUMS` in the folder of a package checks its files, but does not find added files.",
)


class Released(Written):
    """One package of a release, with what the next release's notes compare."""

    name: str
    key: str
    archive: Archive
    signed: bool
    source: str
    options: dict[str, Any]
    tools: dict[str, str]
    passed: str  # "3 of 3"
    common_tokens: str  # with the source's answers, "31 of 32"
    size_bytes: int


class Release(Written):
    """The `release.json` of a release."""

    schema_version: Literal[1] = 1
    packages: tuple[Released, ...]

    def keys(self) -> dict[str, str]:
        """name -> key of each package."""
        return {one.name: one.key for one in self.packages}


def read(path: Path) -> Release:
    """A release's `release.json`.

    Raises:
        Failure: it does not exist, or Bakehouse did not write it.
    """
    try:
        return Release.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise Failure(f"It is not a valid {RECORD}.", where=str(path), remedy=f"Name the {RECORD} of an earlier release.") from error


def make(packages: Iterable[Path], target: Path, last: Release | None, part_bytes: int = archive.PART_BYTES) -> Release:
    """Write archives, proofs, notes and checksums of these packages; the same packages give the same bytes.

    They are written into a folder next to `target`, which replaces `target` when it is complete: nothing of an earlier release is left.

    Raises:
        Failure: `target` holds something else, which is not changed; two packages have one name; or it cannot be written.
    """
    manifests_of = {folder: manifests.read(folder) for folder in packages}
    _refuse_names(manifests_of)
    _refuse_foreign(target)
    staged = target.with_name(f".{target.name}.bakehouse-release")
    try:
        files.remove(staged)
        staged.mkdir(parents=True)
        release = _write(manifests_of, staged, last, part_bytes)
        files.exchange(staged, target) if target.exists() else files.move(staged, target)
    except OSError as error:
        remedy = "Name a folder that you may write to, on a disk with enough space."
        raise Failure(f"The release cannot be written: {error}.", where=str(target), remedy=remedy) from error
    finally:
        files.remove(staged)
    return release


def _refuse_names(manifests_of: Mapping[Path, PackageManifest]) -> None:
    """Files of a release are named after their package, so each package needs its own name."""
    taken: dict[str, Path] = {}
    for folder, manifest in manifests_of.items():
        if manifest.name in taken:
            raise Failure(f"{taken[manifest.name]} and {folder} are both called {manifest.name}.", remedy="Leave one of them out.")
        taken[manifest.name] = folder


def _refuse_foreign(target: Path) -> None:
    """Only an earlier release may be replaced, or an empty folder."""
    if target.exists() and not target.is_dir():
        raise Failure("The target is a file.", where=str(target), remedy="Name a folder, which need not exist.")
    present = {path.name for path in target.iterdir()} if target.exists() else set()
    if {RECORD, CHECKSUMS} <= present:
        present -= {CHECKSUMS, *checksums.read(target / CHECKSUMS)}
    if present:
        raise Failure(
            "The folder holds files that are not part of a release.",
            where=str(target),
            details=tuple(sorted(present)[:_MOST_NAMED]),
            remedy="Name another folder, or move these files away.",
        )


def _write(manifests_of: Mapping[Path, PackageManifest], target: Path, last: Release | None, part_bytes: int) -> Release:
    released = []
    for folder, manifest in manifests_of.items():
        packed = archive.write(folder, manifest.name, target, part_bytes)
        signed = (folder / SIGNATURE).is_file()
        for name in (PROVENANCE, BOM, *([SIGNATURE] if signed else [])):
            shutil.copyfile(folder / name, target / f"{manifest.name}.{name}")
        files.write(target / f"{packed.name}.sha256", f"{packed.sha256}  {packed.name}\n")
        released.append(_released(manifest, packed, signed))
    release = Release(packages=tuple(released))
    files.write(target / RECORD, release.model_dump_json(indent=2) + "\n")
    files.write(target / NOTES, notes(release, last))
    files.write(target / CHECKSUMS, checksums.text(files.records(target)))
    return release


def _released(manifest: PackageManifest, packed: Archive, signed: bool) -> Released:
    agreements = [verdict.agreement for verdict in manifest.verdicts]
    builds = [member.build for member in manifest.members] or [manifest.build]
    return Released(
        name=manifest.name,
        key=manifest.key,
        archive=packed,
        signed=signed,
        source=manifest.source.described,
        options={build.build: build.options.model_dump(mode="json", exclude_none=True) for build in builds},
        tools=manifest.tools,
        passed=f"{sum(verdict.passed for verdict in manifest.verdicts)} of {len(manifest.verdicts)}",
        common_tokens=f"{sum(one.common_tokens for one in agreements)} of {sum(one.source_tokens for one in agreements)}",
        size_bytes=manifest.size_bytes,
    )


# --- notes --------------------------------------------------------------------------------------------------------


def notes(release: Release, last: Release | None) -> str:
    """What is in a release and what changed since the last one, as Markdown; text from outside is escaped."""
    before = {one.name: one for one in last.packages} if last else {}
    lines = ["| package | size | prompts as expected | tokens in common with the source | signed |", "|---|---|---|---|---|"]
    lines += [
        f"| {text(one.name)} | {size_text(one.size_bytes)} | {one.passed} | {one.common_tokens} | {'yes' if one.signed else 'no'} |"
        for one in release.packages
    ]
    if last:
        lines += ["", "## Since the last release", ""]
        for one in release.packages:
            old = before.pop(one.name, None)
            changes = ["new"] if old is None else list(_changes(old, one)) or ["unchanged"]
            lines.append(f"- {text(one.name)}: {'; '.join(changes)}")
        lines += [f"- {text(name)}: no longer part of the release" for name in before]
    return "\n".join([*lines, "", *_how_to(release), ""])


def _changes(old: Released, new: Released) -> Iterator[str]:
    if old.key == new.key:
        return
    yield from _pair("source", old.source, new.source)
    for path, was, now in _unequal(old.options, new.options):
        yield from _pair(path, was, now)
    for tool in sorted({*old.tools, *new.tools}):
        yield from _pair(tool, old.tools.get(tool, "-"), new.tools.get(tool, "-"))
    yield from _pair("prompts as expected", old.passed, new.passed)
    yield from _pair("tokens in common", old.common_tokens, new.common_tokens)
    yield from _pair("size", size_text(old.size_bytes), size_text(new.size_bytes))


def _pair(what: str, old: object, new: object) -> Iterator[str]:
    if old != new:
        yield f"{text(what)} {code(old)} → {code(new)}"


def _unequal(old: object, new: object, path: str = "") -> Iterator[tuple[str, object, object]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            yield from _unequal(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif old != new:
        yield path, json.dumps(old), json.dumps(new)


def _how_to(release: Release) -> list[str]:
    lines = ["## Joining and checking", "", "```sh", "sha256sum --check --ignore-missing SHA256SUMS"]
    for one in release.packages:
        lines.append(f"{JOIN_AND_CHECK.replace('NAME.tar', one.archive.name)} && bakehouse check {one.name}")
    return [*lines, "```", "", *_VERIFIER, "", "On Windows, `copy /b` joins the parts, and 7-Zip opens the first part directly."]
