"""Upload a validated package to its repository on the hub, and keep a receipt; or report what that would change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.executor import process
from bakehouse.executor.listen import Progress
from bakehouse.executor.session import Session
from bakehouse.package import release_policy
from bakehouse.package.manifest import PackageManifest
from bakehouse.publish import receipts
from bakehouse.publish.receipts import Receipt
from bakehouse.publish.seams import AskRequest, Published, PublishRequest, PublishResult, UploadPlan
from bakehouse.recipe.publish import Destination
from bakehouse.records import FileRecord
from bakehouse.steps.maker import worker
from bakehouse.steps.step import Step
from bakehouse.store import files
from bakehouse.store.package_files import MANIFEST

# The client's HTTP upload and not xet's, for which no test server exists; no debug output, because it shows headers.
_CLIENT = {"HF_HUB_DISABLE_XET": "1", "HF_DEBUG": "0", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0"}


@dataclass(frozen=True)
class Outcome:
    """What a publication would change or changed.

    Attributes:
        plan: what it changes in the repository.
        title, description: the commit's message.
        receipt: what was changed; None for a dry run.
    """

    name: str
    destination: Destination
    plan: UploadPlan
    title: str
    description: str
    receipt: Receipt | None = None


def run(
    name: str,
    package: Step,
    destination: Destination,
    session: Session,
    *,
    signed: tuple[Path, FileRecord] | None,
    dry_run: bool,
    tell: Callable[[Progress], None],
) -> Outcome:
    """Publish the package of `name`, or plan that; a second time changes nothing.

    Args:
        signed: the folder of the signed copy and the signature's record, if the package is signed.

    Raises:
        Failure: the package does not exist, did not pass validation or is damaged; it may not be published; or the hub did not take
            it, and then the details say what the repository holds now.
    """
    try:
        manifest, parts = release_policy.proven(name, package, session)
        release_policy.refuse_unfit(session.store.package(name), manifest, destination, signed=signed is not None)
        folder, parts = (signed[0], (*parts, signed[1])) if signed else (session.store.package(name), parts)
        title, description = message(manifest, next(part.sha256 for part in parts if part.path == MANIFEST))
        request = _request(folder, destination, parts, title, description, dry_run=dry_run)
        result = _carried_out(name, request, session, tell)
    except Failure as failure:
        raise Failure(failure.what, where=f"publishing {name}", remedy=failure.remedy, details=failure.details) from failure
    outcome = Outcome(name, destination, result.plan, title, description)
    if result.published is None:
        return outcome
    receipt = _receipt(manifest, destination, parts, result.published)
    receipts.write(session.store, receipt)
    return replace(outcome, receipt=receipt)


def check_token(name: str, destination: Destination, session: Session) -> None:
    """Check that the hub takes the token, before a build that will be published is made.

    Raises:
        Failure: no token is set, the hub does not take it, or the hub cannot be reached.
    """
    scratch = session.store.root / ".staging" / f"ask-{name}"
    command = worker("publish.workers.hub_ask", request=AskRequest(repo=destination.repo), needs_network=True, hub_token=True)
    command = replace(command, env=_CLIENT)
    try:
        process.run(command, children=session.children, log=scratch / "log.txt", scratch=scratch, on_progress=lambda _: None)
    except Failure as failure:
        remedy = f"{failure.remedy} Nothing was made yet."
        raise Failure(failure.what, where=f"publishing {name}", remedy=remedy, details=failure.details) from failure
    finally:
        files.remove(scratch)


def message(manifest: PackageManifest, manifest_sha256: str) -> tuple[str, str]:
    """Title and text of the commit; the same for the same package."""
    lines = [
        f"Made from {manifest.source.described}.",
        f"Package key: {manifest.key}",
        f"sha256 of {MANIFEST}: {manifest_sha256}",
    ]
    return f"{manifest.name}, package {manifest.key[:12]}", "\n".join(lines)


def _request(
    folder: Path, destination: Destination, parts: tuple[FileRecord, ...], title: str, description: str, *, dry_run: bool
) -> PublishRequest:
    return PublishRequest(
        folder=folder,
        repo=destination.repo,
        private=destination.private,
        branch=destination.branch,
        pull_request=destination.pull_request,
        tag=destination.tag,
        title=title,
        description=description,
        files=parts,
        dry_run=dry_run,
    )


def _carried_out(name: str, request: PublishRequest, session: Session, tell: Callable[[Progress], None]) -> PublishResult:
    """Have the worker do it; its log is next to the receipts."""
    folder = receipts.folder(session.store, name)
    scratch = session.store.root / ".staging" / f"publish-{name}"
    log = folder / ("plan.txt" if request.dry_run else "log.txt")
    with session.store.lock(f"publish-{name}", lambda: tell(Progress("waiting for another run that publishes this"))):
        folder.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        command = replace(worker("publish.workers.hub_publish", request=request, needs_network=True, hub_token=True), env=_CLIENT)
        try:
            done = process.run(command, children=session.children, log=log, scratch=scratch, on_progress=tell)
            return done.report.read(PublishResult)
        finally:
            files.remove(scratch)


def _receipt(manifest: PackageManifest, destination: Destination, parts: tuple[FileRecord, ...], published: Published) -> Receipt:
    endpoint = receipts.endpoint()
    return Receipt(
        name=manifest.name,
        key=manifest.key,
        endpoint=endpoint,
        repo=destination.repo,
        branch=destination.branch,
        commit=published.commit,
        url=published.url or f"{endpoint}/{destination.repo}/commit/{published.commit}",
        pull_request=published.url is not None,
        tag=destination.tag,
        committed=published.committed,
        manifest_sha256=next(part.sha256 for part in parts if part.path == MANIFEST),
        files=published.compared,
        size_bytes=sum(part.size for part in parts),
        published_at=datetime.now(UTC),
    )
