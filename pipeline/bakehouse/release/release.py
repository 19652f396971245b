"""A release: an archive for each package, what proves them, and notes of what changed since the last one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from bakehouse.errors import Failure
from bakehouse.package import card, checksums
from bakehouse.package import manifest as manifests
from bakehouse.package.file_names import BOM, CHECKSUMS, PROVENANCE, SIGNATURE
from bakehouse.package.manifest import PackageManifest
from bakehouse.records import Written
from bakehouse.release import archive
from bakehouse.release.archive import Archive
from bakehouse.store import files
from bakehouse.text import size_text

RECORD = "release.json"
NOTES = "NOTES.md"
_TOLD = 10  # files that a refusal names
# Right for an archive of one part, which has the whole's name, and for one of many: only a whole that is not there is joined.
JOIN_AND_CHECK = "[ -f NAME.tar ] || cat NAME.tar.[0-9]* > NAME.tar && sha256sum --check NAME.tar.sha256 && tar xf NAME.tar"
# What `bakehouse check` imports: a check needs none of the tools that made the package.
_VERIFIER = (
    "`bakehouse` comes with Bakehouse, which made these packages. In a checkout of it, with Python 3.11 or later, this is enough to check:",
    "",
    "```sh",
    "python -m pip install --no-deps . && python -m pip install --constraint constraints.txt pydantic PyYAML",
    "```",
    "",
    "Checking a signature takes `model-signing` and `pyOpenSSL` as well: `bakehouse check --help` has the options.",
    "",
    "Without it `sha256sum --check SHA256SUMS` in the folder of a package checks its files, though not what else lies there.",
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
        Failure: it is not there or not one of ours.
    """
    try:
        return Release.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise Failure("no release.json that can be read", where=str(path), remedy=f"name the {RECORD} of an earlier release") from error


def make(packages: Iterable[Path], target: Path, last: Release | None, part_bytes: int = archive.PART_BYTES) -> Release:
    """Write archives, proofs, notes and checksums of these packages; the same packages give the same bytes.

    They come into a folder beside `target`, which takes its place when it is whole: of an earlier release nothing is left.

    Raises:
        Failure: `target` holds something else, which is left as it is; two packages have one name; or it cannot be written.
    """
    told = {folder: manifests.read(folder) for folder in packages}
    _refuse_names(told)
    _refuse_foreign(target)
    staged = target.with_name(f".{target.name}.bakehouse-release")
    try:
        files.remove(staged)
        staged.mkdir(parents=True)
        release = _write(told, staged, last, part_bytes)
        files.exchange(staged, target) if target.exists() else files.move(staged, target)
    except OSError as error:
        remedy = "name a folder that you may write to, on a disk with room"
        raise Failure(f"the release cannot be written: {error}", where=str(target), remedy=remedy) from error
    finally:
        files.remove(staged)
    return release


def _refuse_names(told: Mapping[Path, PackageManifest]) -> None:
    """A package's name is that of its files here: each needs one of its own."""
    taken: dict[str, Path] = {}
    for folder, manifest in told.items():
        if manifest.name in taken:
            raise Failure(f"{taken[manifest.name]} and {folder} are both {manifest.name}", remedy="leave one of them out")
        taken[manifest.name] = folder


def _refuse_foreign(target: Path) -> None:
    """Only an earlier release may be replaced, or an empty folder."""
    if target.exists() and not target.is_dir():
        raise Failure("this is a file", where=str(target), remedy="name a folder, it may be a new one")
    there = {path.name for path in target.iterdir()} if target.exists() else set()
    if {RECORD, CHECKSUMS} <= there:
        there -= {CHECKSUMS, *checksums.read(target / CHECKSUMS)}
    if there:
        raise Failure(
            "the folder holds files that are not part of a release",
            where=str(target),
            details=tuple(sorted(there)[:_TOLD]),
            remedy="name another folder, or move these files away",
        )


def _write(told: Mapping[Path, PackageManifest], target: Path, last: Release | None, part_bytes: int) -> Release:
    released = []
    for folder, manifest in told.items():
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
    """What is in a release and what changed since the last one, Markdown; text from outside cannot break out of its place."""
    before = {one.name: one for one in last.packages} if last else {}
    lines = ["| package | size | prompts as expected | tokens in common with the source | signed |", "|---|---|---|---|---|"]
    lines += [
        f"| {card.text(one.name)} | {size_text(one.size_bytes)} | {one.passed} | {one.common_tokens} | {'yes' if one.signed else 'no'} |"
        for one in release.packages
    ]
    if last:
        lines += ["", "## Since the last release", ""]
        for one in release.packages:
            old = before.pop(one.name, None)
            changes = ["new"] if old is None else list(_changes(old, one)) or ["unchanged"]
            lines.append(f"- {card.text(one.name)}: {'; '.join(changes)}")
        lines += [f"- {card.text(name)}: no longer part of the release" for name in before]
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
        yield f"{card.text(what)} {card.code(old)} → {card.code(new)}"


def _unequal(old: object, new: object, path: str = "") -> Iterator[tuple[str, object, object]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            yield from _unequal(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif old != new:
        yield path, json.dumps(old), json.dumps(new)


def _how_to(release: Release) -> list[str]:
    lines = ["## Putting together and checking", "", "```sh", "sha256sum --check --ignore-missing SHA256SUMS"]
    for one in release.packages:
        lines.append(f"{JOIN_AND_CHECK.replace('NAME.tar', one.archive.name)} && bakehouse check {one.name}")
    return [*lines, "```", "", *_VERIFIER, "", "On Windows `copy /b` joins the parts, and 7-Zip opens the first one as it is."]
