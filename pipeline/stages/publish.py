"""Bring a proven package to its repository on the hub, and keep a receipt; or say what that would change."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import card, files, pickles, process, receipts
from pipeline.errors import Failure
from pipeline.maker import worker
from pipeline.manifest import FileRecord, PackageManifest
from pipeline.process import Progress
from pipeline.publishing import Destination
from pipeline.receipts import Receipt
from pipeline.session import Session
from pipeline.step import Step
from pipeline.store import MANIFEST

# The client's own HTTP upload and not xet's, for which there is no server to test against; no debug output, which shows headers.
_CLIENT = {"HF_HUB_DISABLE_XET": "1", "HF_DEBUG": "0", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0"}


@dataclass(frozen=True)
class Outcome:
    """What a publication would change or changed.

    Attributes:
        plan: paths by `new`, `changed`, `same` and `gone`; `card`, a diff; `upload_bytes`; whether `repository` and `branch` are there.
        title, description: the commit's message.
        receipt: what was done; None for a dry run.
    """

    name: str
    destination: Destination
    plan: Mapping[str, Any]
    title: str
    description: str
    receipt: Receipt | None = None


def run(
    name: str,
    package: Step,
    destination: Destination,
    session: Session,
    *,
    signed: Path | None,
    dry_run: bool,
    tell: Callable[[Progress], None],
) -> Outcome:
    """Publish the package of `name`, or plan it; a second time does nothing.

    Args:
        signed: where the same package lies with a signature, if it is signed.

    Raises:
        Failure: the package is not there, not proven or not whole, it may not be published, or the hub did not take it; then with
            what the repository holds now.
    """
    try:
        manifest, parts = proven(name, package, session)
        if signed is not None:
            parts = (*parts, *_beside(signed, parts))
        refuse_unpublishable(session.store.package(name), manifest, destination, signed=signed is not None)
        title, description = message(manifest, next(part.sha256 for part in parts if part.path == MANIFEST))
        request = _request(signed or session.store.package(name), destination, parts, title, description)
        facts = _carried_out(name, request, session, dry_run=dry_run, tell=tell)
    except Failure as failure:
        raise Failure(failure.what, where=f"publishing {name}", remedy=failure.remedy, details=failure.details) from failure
    outcome = Outcome(name, destination, facts["plan"], title, description)
    if dry_run:
        return outcome
    receipt = _receipt(manifest, destination, parts, facts)
    receipts.write(session.store, receipt)
    return replace(outcome, receipt=receipt)


def proven(name: str, package: Step, session: Session) -> tuple[PackageManifest, tuple[FileRecord, ...]]:
    """The manifest of a package that passed everything and is as it was made, and all its files.

    Raises:
        Failure: it is not built as its recipe is now, or manifest and files are at odds.
    """
    store = session.store
    record, folder = store.record(package), store.package(name)
    if record is None or not store.is_published(package, name):
        raise Failure("it is not built as its recipe is now", remedy=f"`doit build:{name}` makes it")
    manifest = PackageManifest.model_validate_json((folder / MANIFEST).read_bytes())
    wrong = [f"{verdict.prompt!r} was not answered as expected" for verdict in manifest.verdicts if not verdict.passed]
    if manifest.key != package.key or not manifest.verdicts:
        wrong.append("its manifest is of another package")
    there = {file.path: file for file in record.files}
    wrong += [f"{file.path}: not as the manifest lists it" for file in manifest.files if there.get(file.path) != file]
    if wrong:
        raise Failure(
            "the package is not one that was proven", details=tuple(wrong), remedy=f"`doit clean package:{name}` and build it again"
        )
    return manifest, record.files


def _beside(folder: Path, parts: tuple[FileRecord, ...]) -> tuple[FileRecord, ...]:
    """The files in a folder that are not among `parts`: the signature."""
    paths = {path.relative_to(folder).as_posix(): path for path in files.walk(folder)}
    return tuple(
        FileRecord(path=name, size=path.stat().st_size, sha256=files.sha256(path))
        for name, path in paths.items()
        if name not in {part.path for part in parts}
    )


def refuse_unpublishable(folder: Path, manifest: PackageManifest, destination: Destination, *, signed: bool) -> None:
    """Refuse what may not be published at all.

    Raises:
        Failure: it has pickles and the recipe does not allow them, it must be signed and is not, or it has a licence of its own whose
            text is missing.
    """
    if destination.sign and not signed:
        raise Failure(
            "the recipe publishes signed packages only, and this one is not signed",
            remedy=f"set PIPELINE_SIGN to what signs it: `doit publish:{manifest.name}` or `doit sign:{manifest.name}` does it then",
        )
    if not destination.allow_pickle and (found := pickles.found(folder)):
        raise Failure(
            "the package has files that can run any code when they are loaded (pickles)",
            details=found,
            remedy="publish another build; only if those who load it can trust you that far, set publish.allow_pickle: true",
        )
    licence = manifest.build.license
    if licence.lower().startswith("licenseref-") and card.licence_file(manifest) is None:
        raise Failure(
            f"the licence {licence} is its owner's own, and its text is not in the package",
            remedy="take a source that brings its licence as a file (LICENSE)",
        )


def message(manifest: PackageManifest, manifest_sha256: str) -> tuple[str, str]:
    """Title and text of the commit; the same for the same package."""
    lines = [
        f"Made from {manifest.source.described}.",
        f"Package key: {manifest.key}",
        f"sha256 of manifest.json: {manifest_sha256}",
    ]
    return f"{manifest.name}, package {manifest.key[:12]}", "\n".join(lines)


def _request(folder: Path, destination: Destination, parts: tuple[FileRecord, ...], title: str, description: str) -> dict[str, Any]:
    asked = {name: value for name, value in asdict(destination).items() if name not in ("sign", "allow_pickle")}
    return {**asked, "folder": str(folder), "title": title, "description": description, "files": [part.model_dump() for part in parts]}


def _carried_out(
    name: str, request: dict[str, Any], session: Session, *, dry_run: bool, tell: Callable[[Progress], None]
) -> Mapping[str, Any]:
    """Have the worker do it; its log is beside the receipts."""
    folder = receipts.folder(session.store, name)
    scratch = session.store.root / ".staging" / f"publish-{name}"
    log = folder / ("plan.txt" if dry_run else "log.txt")
    with session.store.lock(f"publish-{name}", lambda: tell(Progress("waiting for another run that publishes this"))):
        folder.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        path = scratch / "request.json"
        files.write(path, json.dumps(request, indent=2) + "\n")
        arguments = ("--request", str(path), *(("--dry-run",) if dry_run else ()))
        command = replace(worker("hub_publish", *arguments, needs_network=True, hub_token=True), env=_CLIENT)
        try:
            return process.run(command, children=session.children, log=log, scratch=scratch, on_progress=tell).facts
        finally:
            files.remove(scratch)


def _receipt(manifest: PackageManifest, destination: Destination, parts: tuple[FileRecord, ...], facts: Mapping[str, Any]) -> Receipt:
    endpoint = receipts.endpoint()
    return Receipt(
        name=manifest.name,
        key=manifest.key,
        endpoint=endpoint,
        repo=destination.repo,
        branch=destination.branch,
        commit=facts["commit"],
        url=facts["url"] or f"{endpoint}/{destination.repo}/commit/{facts['commit']}",
        pull_request=facts["url"] is not None,
        tag=destination.tag,
        committed=facts["committed"],
        manifest_sha256=next(part.sha256 for part in parts if part.path == MANIFEST),
        files=facts["compared"],
        size_bytes=sum(part.size for part in parts),
        published_at=datetime.now(UTC),
    )
