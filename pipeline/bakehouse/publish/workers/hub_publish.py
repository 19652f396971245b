"""Brings a package to a repository on the hub, or says what that would change."""

from __future__ import annotations

from huggingface_hub import HfApi, constants

from bakehouse.child import events, start
from bakehouse.publish.seams import Published, PublishRequest, PublishResult
from bakehouse.publish.workers import hub_client, hub_remote, hub_upload
from bakehouse.publish.workers.hub_remote import Comparison, Held, Local
from bakehouse.publish.workers.publish_errors import Refused, refusing
from bakehouse.publish.workers.publish_plan import Found, check_repository, has_content, look, plan, same_pull_request
from bakehouse.recipe.publish import MAIN
from bakehouse.store.package_files import MANIFEST


def run(request: PublishRequest) -> PublishResult:
    """Publish, or plan."""
    with refusing(request.repo):
        token = hub_client.token(request.repo, needed=not request.dry_run)
        found, package = look(request)
        planned = plan(request, found)
        if request.dry_run:
            return PublishResult(plan=planned)
        done = publish(request, HfApi(token=token, library_name="bakehouse"), found, package)
        return PublishResult(plan=planned, published=done)


def publish(request: PublishRequest, api: HfApi, found: Found, package: dict[str, Local]) -> Published:
    """Make what is missing, send, commit once, and look whether the hub has it."""
    if found.comparison.nothing_to_do and found.on_branch and found.held:
        return finish(request, api, package, found.held.commit, None, committed=False)
    if found.pull_request is not None:
        held = hub_remote.read(request.repo, f"refs/pr/{found.pull_request}")
        assert held is not None
        return finish(request, api, package, held.commit, pull_request_url(request, found.pull_request), committed=False)
    before = found.held
    try:
        before, comparison = prepared(request, api, found, package)
        if comparison.nothing_to_do:
            commit, url, committed = before.commit, None, False
        else:
            commit, url, committed = *send(request, api, before, comparison, package), True
    except Exception as error:
        error.add_note(standing(request, before))
        raise
    return finish(request, api, package, commit, url, committed=committed)


def prepared(request: PublishRequest, api: HfApi, found: Found, package: dict[str, Local]) -> tuple[Held, Comparison]:
    """The branch to commit to, made if it was not there, and how the package differs from it."""
    held = found.held
    if held is None:
        hub_upload.make_repository(api, request.repo, request.private)
        held = hub_remote.read(request.repo, MAIN)
        if held is None:
            raise Refused(f"{request.repo} was created, but has no main branch.", "Look at it on the hub, and run the same command again.")
        check_repository(request, held)
    if request.branch != MAIN and not found.on_branch:
        hub_upload.make_branch(api, request.repo, request.branch, held.commit)
        held = hub_remote.read(request.repo, request.branch) or held
    return held, hub_remote.compare(package, held.files)


def send(request: PublishRequest, api: HfApi, held: Held, comparison: Comparison, package: dict[str, Local]) -> tuple[str, str | None]:
    """Weights, then one commit of everything; its id, and the pull request's address."""
    files = hub_upload.additions(request.folder, package, comparison)
    hub_upload.send_weights(api, request.repo, request.branch, files, pull_request=request.pull_request)

    def happened() -> tuple[str, str | None] | None:
        if request.pull_request:
            number = same_pull_request(request, package)
            now = hub_remote.read(request.repo, f"refs/pr/{number}") if number is not None else None
            return (now.commit, pull_request_url(request, number)) if now and number is not None else None
        now = hub_remote.read(request.repo, request.branch)
        same = now is not None and now.commit != held.commit and hub_remote.compare(package, now.files).nothing_to_do
        return (now.commit, None) if now and same else None

    return hub_upload.commit(
        api,
        hub_upload.Commit(request.repo, request.branch, held.commit, request.title, request.description, request.pull_request),
        [*files, *hub_upload.deletions(comparison.gone)],
        happened,
    )


def pull_request_url(request: PublishRequest, number: int) -> str:
    """Where a pull request is discussed."""
    return f"{constants.ENDPOINT}/{request.repo}/discussions/{number}"


def standing(request: PublishRequest, before: Held | None) -> str:
    """What the branch holds after a failure, as far as that can be found out."""
    was = f"commit {before.commit[:12]}" if before else "nothing"
    try:
        now = hub_remote.read(request.repo, request.branch) if hub_remote.exists(request.repo) else None
    except Exception:
        return f"what {request.where} holds now could not be read; before this it held {was}"
    if now is None:
        return f"{request.where} does not exist; nothing was created"
    if before is None:
        return f"{request.repo} was created, and holds no file of the package yet"
    if now.commit == before.commit:
        return f"{request.where} is unchanged: {was}"
    return f"{request.where} has moved from {was} to commit {now.commit[:12]}"


# --- after ----------------------------------------------------------------------------------------


def finish(request: PublishRequest, api: HfApi, package: dict[str, Local], commit: str, url: str | None, *, committed: bool) -> Published:
    """Compare what the hub reports at the commit with the package, and the manifest byte for byte; then tag."""
    events.progress("looking whether the hub has it all")
    at = f"refs/pr/{url.rsplit('/', 1)[-1]}" if url else commit
    try:
        held = hub_remote.read(request.repo, at)
        if held is None or held.commit != commit:
            raise Refused(f"{request.repo} does not show commit {commit}, which the hub reported as made.", "Run the same command again.")
        check(request, held, at, package)
    except Exception as error:
        error.add_note(f"{request.where if url is None else url} holds commit {commit}")
        raise
    if request.tag:
        try:
            hub_upload.tag(api, request.repo, request.tag, commit, lambda other: has_content(request, package, other))
        except Exception as error:
            error.add_note(f"{request.where} holds the complete package at commit {commit}; only the tag is missing")
            raise
    return Published(commit=commit, url=url, committed=committed, compared=len(package))


def check(request: PublishRequest, held: Held, at: str, package: dict[str, Local]) -> None:
    """Refuse if the hub reports another content for any file, or the manifest comes back changed."""
    wrong = [package[name].difference(held.files[name]) or "" for name in sorted(package.keys() & held.files.keys())]
    wrong = [line for line in wrong if line]
    wrong += [f"{name}: missing" for name in sorted(package.keys() - held.files.keys())]
    wrong += [f"{name}: not part of the package" for name in sorted(held.files.keys() - package.keys() - hub_remote.OF_THE_HUB)]
    if not wrong and hub_remote.content(request.repo, at, MANIFEST) != (request.folder / MANIFEST).read_bytes():
        wrong.append(f"{MANIFEST}: the hub returns other bytes than were sent")
    if wrong:
        raise Refused(
            f"{request.repo} differs from the package at commit {held.commit[:12]}.",
            "Run the same command again, which commits the differences; do not use that commit.",
            tuple(wrong),
        )


if __name__ == "__main__":
    start.run(run, PublishRequest, online=True)
