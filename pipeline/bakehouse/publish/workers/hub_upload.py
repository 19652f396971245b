"""Brings a package into a repository with the hub's client: make it, send the weights, commit once, tag; each tried again if that can help.

The client's plain HTTP upload is used and not the xet protocol, which it takes when `hf-xet` is installed: the command that
starts this sets HF_HUB_DISABLE_XET, so that what the tests show is what happens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import httpx
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.utils import close_session
from huggingface_hub.utils._http import default_client_factory, parse_ratelimit_headers

from bakehouse.child import events
from bakehouse.package.file_names import CARD
from bakehouse.publish.workers import hub_remote
from bakehouse.publish.workers.hub_remote import Comparison, Local
from bakehouse.publish.workers.publish_errors import PASSING, Refused, answered, unanswered
from bakehouse.store.package_files import MANIFEST

WAITS_S = (1.0, 2.0, 4.0, 8.0)
LONGEST_WAIT_S = 310.0  # the hub's limits are for five minutes
SECONDS_BETWEEN_WORDS = 0.5
# The client waits for ever (huggingface_hub 1.21, `default_client_factory`), and a connection may die without a word. A commit of
# many files, or joining the parts of a large one, may take the hub minutes.
PATIENCE = httpx.Timeout(connect=30, write=120, read=300, pool=None)
T = TypeVar("T")


def patient_client() -> httpx.Client:
    """The client's own session, which gives up on a hub that says nothing any more."""
    client: httpx.Client = default_client_factory()
    client.timeout = PATIENCE
    return client


def insist(doing: str, action: Callable[[], T], *, client_tries: bool = False) -> T:
    """The result of `action`, tried again when the hub is busy (429: as long as it says), fails (5xx) or cannot be reached.

    Only for what may be done twice. With `client_tries` the client itself has tried again after an answer, and that is enough.
    """
    for wait in WAITS_S:
        try:
            return action()
        except Exception as error:
            if not may_pass(error) or (client_tries and answered(error) is not None):
                raise
            pause(doing, error, wait)
    return action()


def may_pass(error: Exception) -> bool:
    """Whether trying again can help."""
    response = answered(error)
    return unanswered(error) if response is None else response.status_code in PASSING


def pause(doing: str, error: Exception, wait: float) -> None:
    """Wait before the next try, as long as the hub asks if it does, with a new connection."""
    response = answered(error)
    if response is not None and response.status_code == 429:
        limit, after = parse_ratelimit_headers(response.headers), response.headers.get("Retry-After", "")
        asked = float(after) if after.isdigit() else limit.reset_in_seconds + 1 if limit else wait
        wait = min(max(asked, wait), LONGEST_WAIT_S)
    why = f"the hub answered {response.status_code}" if response is not None else "the connection broke off"
    events.progress(f"{doing}: {why}; trying again in {wait:.0f} s")
    close_session()
    time.sleep(wait)


class Sent:
    """How many bytes of the large files are sent; says so now and then."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.at: dict[str, int] = {}
        self.said = 0.0

    def reached(self, name: str, position: int) -> None:
        """The file `name` is sent up to `position`."""
        self.at[name] = max(position, self.at.get(name, 0))
        if time.monotonic() - self.said >= SECONDS_BETWEEN_WORDS:
            self.said = time.monotonic()
            events.progress(f"uploading {name}", sum(self.at.values()), self.total, "B")


class Addition(CommitOperationAdd):  # type: ignore[misc]
    """A file to add, whose bytes are counted while the client sends them."""

    sent: Sent

    @contextmanager
    def as_file(self, with_tqdm: bool = False) -> Iterator[BinaryIO]:
        with Path(str(self.path_or_fileobj)).open("rb") as opened:
            if with_tqdm:
                read = opened.read

                def counted(size: int = -1) -> bytes:
                    block = read(size)
                    self.sent.reached(self.path_in_repo, opened.tell())
                    return block

                opened.read = counted  # type: ignore[method-assign, assignment]
            yield opened


def additions(folder: Path, package: dict[str, Local], comparison: Comparison) -> list[Addition]:
    """What must be added; the large ones, which go first, by name, and then the manifest and the card."""
    made: list[Addition] = []
    for name in (*comparison.new, *comparison.changed):
        addition = Addition(path_in_repo=name, path_or_fileobj=folder / name)
        addition.upload_info.sha256 = bytes.fromhex(package[name].sha256)
        made.append(addition)
    sent = Sent(sum(addition.upload_info.size for addition in made))
    for addition in made:
        addition.sent = sent
    return sorted(made, key=lambda one: (one.path_in_repo in (CARD, MANIFEST), one.path_in_repo))


def make_repository(api: HfApi, repo: str, private: bool) -> None:
    """Make the repository; one that is there by now is fine."""
    events.progress(f"making {repo}")
    insist("making the repository", lambda: api.create_repo(repo, private=private, exist_ok=True))


def make_branch(api: HfApi, repo: str, branch: str, start: str) -> None:
    """Make the branch at the commit `start`; one that is there by now is fine."""
    events.progress(f"making the branch {branch}")
    insist("making the branch", lambda: api.create_branch(repo, branch=branch, revision=start, exist_ok=True))


def send_weights(api: HfApi, repo: str, branch: str, files: list[Addition], *, pull_request: bool) -> None:
    """Send the content of all large files that the hub does not have; nothing of it shows in the repository before the commit."""
    events.progress("asking the hub what must be uploaded")
    insist(
        "uploading",
        # An empty .gitignore: the repository's own shall not leave out a file of the package.
        lambda: api.preupload_lfs_files(
            repo, files, revision=branch, create_pr=pull_request, free_memory=False, gitignore_content="", num_threads=4
        ),
        client_tries=True,
    )
    if ignored := [one.path_in_repo for one in files if one._should_ignore]:
        raise Refused(f"The .gitignore of {repo} leaves out files of the package.", "Remove it on the hub.", tuple(ignored))


@dataclass(frozen=True)
class Commit:
    """A commit to make: on which branch (or as a pull request to it), on top of which commit, and its message."""

    repo: str
    branch: str
    parent: str
    title: str
    description: str
    pull_request: bool


def deletions(gone: tuple[str, ...]) -> list[CommitOperationDelete]:
    """What must be removed."""
    return [CommitOperationDelete(path_in_repo=name, is_folder=False) for name in gone]


def commit(
    api: HfApi, asked: Commit, operations: Sequence[Addition | CommitOperationDelete], happened: Callable[[], tuple[str, str | None] | None]
) -> tuple[str, str | None]:
    """One commit of everything, never twice; its id, and the pull request's address.

    `happened` looks whether a commit is there whose answer never came, and returns the same of it.
    """
    events.progress("committing")
    for wait in (*WAITS_S, None):
        try:
            info = api.create_commit(
                asked.repo,
                operations,
                commit_message=asked.title,
                commit_description=asked.description,
                revision=asked.branch,
                parent_commit=asked.parent,
                create_pr=asked.pull_request,
            )
            return str(info.oid), info.pr_url
        except Exception as error:
            response = answered(error)
            # 412: the parent is not the newest any more, which may be our own doing.
            in_doubt = unanswered(error) if response is None else response.status_code in PASSING | {412}
            if in_doubt and (there := insist("looking for the commit", happened)):
                events.progress("the commit is there, only its answer was lost")
                return there
            if wait is None or not may_pass(error):
                raise
            pause("committing", error, wait)
    raise AssertionError("the last try returns or raises")


def tag(api: HfApi, repo: str, name: str, commit_id: str, has_content: Callable[[str], bool]) -> None:
    """Give the commit a tag. A tag that names the same content is fine, any other is left alone and refused."""
    for wait in (*WAITS_S, None):
        there = hub_remote.tags(repo).get(name)
        if there is not None and (there == commit_id or has_content(there)):
            return
        if there is not None:
            raise tag_taken(repo, name, there)
        try:
            api.create_tag(repo, tag=name, revision=commit_id)
            return
        except Exception as error:
            conflict = answered(error) is not None and answered(error).status_code == 409  # type: ignore[union-attr]
            if wait is None or not (conflict or may_pass(error)):
                raise
            pause("tagging", error, wait)


def tag_taken(repo: str, name: str, commit_id: str) -> Refused:
    """The tag names another content."""
    return Refused(
        f"The tag {name} of {repo} names another content already (commit {commit_id[:12]}), and a tag is not moved.",
        "Choose another publish.tag, or delete that one on the hub.",
    )
