"""What publishing would change: the package as it is on disk now, compared with the repository; and what forbids it."""

from __future__ import annotations

import difflib
import time
from dataclasses import asdict, dataclass

from bakehouse.child import events
from bakehouse.package.file_names import CARD
from bakehouse.publish.seams import PublishRequest, UploadPlan
from bakehouse.publish.workers import hub_remote, hub_upload
from bakehouse.publish.workers.hub_remote import Comparison, Held, Local
from bakehouse.publish.workers.publish_errors import Refused
from bakehouse.recipe.publish import MAIN

LONGEST_DIFF = 400  # lines


@dataclass(frozen=True)
class Found:
    """What exists before anything is done: the branch's commit (or main's, from which it starts), and how the package differs.

    Attributes:
        held: None if the repository does not exist or is empty.
        on_branch: whether `held` is the branch itself.
        pull_request: number of an open pull request that has the package's content already.
    """

    held: Held | None
    on_branch: bool
    comparison: Comparison
    pull_request: int | None = None


def look(request: PublishRequest) -> tuple[Found, dict[str, Local]]:
    """What the repository holds, and the package's files as they are on disk now."""
    events.progress(f"reading {request.repo} on the hub")
    held, on_branch = None, False
    if hub_remote.exists(request.repo):
        held = hub_remote.read(request.repo, request.branch)
        on_branch = held is not None
        if held is None and request.branch != MAIN:
            held = hub_remote.read(request.repo, MAIN)
        if held is not None:
            check_repository(request, held)
    package = read_package(request)
    comparison = hub_remote.compare(package, held.files if held else {})
    number = None
    if request.pull_request and held is not None and not comparison.nothing_to_do:
        number = same_pull_request(request, package)
    if request.tag and held is not None:
        check_tag(request, package, held, comparison)
    return Found(held, on_branch, comparison, number), package


def check_repository(request: PublishRequest, held: Held) -> None:
    """Refuse a repository that others see or do not see against the recipe's word, and one that holds somebody else's work."""
    if held.private != request.private:
        is_, requested = ("private", "public") if held.private else ("public", "private")
        raise Refused(
            f"{request.repo} is {is_}, and the recipe says {requested}.",
            f"Set publish.visibility to {is_}, or change the repository's visibility in its settings on the hub.",
        )
    if not request.pull_request and (others := hub_remote.foreign(request.repo, held)):
        raise Refused(
            f"{request.repo} holds files that are not from a package, and publishing would remove them.",
            "Choose another repository, empty this one, or open a pull request (`publish.pull_request: true`), where a person decides.",
            others[:20],
        )


def read_package(request: PublishRequest) -> dict[str, Local]:
    """The package's files, hashed now and compared with what was proven."""
    total = sum(file.size for file in request.files)
    done, reported, package = 0, 0.0, {}

    def arrived(size: int) -> None:
        nonlocal done, reported
        done += size
        if time.monotonic() - reported >= hub_upload.SECONDS_BETWEEN_WORDS:
            reported = time.monotonic()
            events.progress("checking the package", done, total, "B")

    wrong = []
    for file in request.files:
        local = hub_remote.hashed(request.folder / file.path, file.path, arrived)
        package[local.path] = local
        if (local.sha256, local.size) != (file.sha256, file.size):
            wrong.append(f"{local.path}: sha256 {local.sha256}, should be {file.sha256}")
    if wrong:
        raise Refused("The package has changed since it was validated, so it is not published.", "Build it again.", tuple(wrong))
    return package


def same_pull_request(request: PublishRequest, package: dict[str, Local]) -> int | None:
    """The number of an open pull request of ours that has this very content."""
    for number in hub_remote.open_pull_requests(request.repo, request.title):
        held = hub_remote.read(request.repo, f"refs/pr/{number}")
        if held is not None and hub_remote.compare(package, held.files).nothing_to_do:
            return number
    return None


def check_tag(request: PublishRequest, package: dict[str, Local], held: Held, comparison: Comparison) -> None:
    """Refuse, before anything is sent, a tag that names another content."""
    assert request.tag
    tagged = hub_remote.tags(request.repo).get(request.tag)
    if tagged is None or (tagged == held.commit and comparison.nothing_to_do) or has_content(request, package, tagged):
        return
    raise hub_upload.tag_taken(request.repo, request.tag, tagged)


def has_content(request: PublishRequest, package: dict[str, Local], commit: str) -> bool:
    """Whether the repository is this very package at a commit."""
    held = hub_remote.read(request.repo, commit)
    return held is not None and hub_remote.compare(package, held.files).nothing_to_do


def plan(request: PublishRequest, found: Found) -> UploadPlan:
    """What would be done."""
    held, comparison = found.held, found.comparison
    sizes = {file.path: file.size for file in request.files}
    return UploadPlan(
        **asdict(comparison),
        repository=held is not None,
        branch=found.on_branch,
        commit=held.commit if held else None,
        pull_request=found.pull_request,
        upload_bytes=sum(sizes[name] for name in (*comparison.new, *comparison.changed)),
        card=tuple(card_diff(request, held)) if CARD in (*comparison.new, *comparison.changed) else (),
    )


def card_diff(request: PublishRequest, held: Held | None) -> list[str]:
    """How the model card changes, as a unified diff."""
    old = hub_remote.content(request.repo, held.commit, CARD).decode("utf-8", "replace") if held and CARD in held.files else ""
    new = (request.folder / CARD).read_text(encoding="utf-8")
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), "on the hub", "in the package", lineterm="", n=1))
    return lines if len(lines) <= LONGEST_DIFF else [*lines[:LONGEST_DIFF], f"... and {len(lines) - LONGEST_DIFF} lines more"]
