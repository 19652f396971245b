"""What a repository on the hub holds at a branch, a commit or a pull request, to compare with a package before and after an upload."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from bakehouse.package.file_names import CARD
from bakehouse.sources.workers import hub_files
from bakehouse.sources.workers.hub_info import Info, Remote
from bakehouse.store.package_files import MANIFEST, OLD_MANIFEST

# The hub makes these with a repository and keeps its LFS rules there: they belong to it and not to a package.
OF_THE_HUB = frozenset({".gitattributes"})
# What a person may have added when the repository was created by hand.
HARMLESS = OF_THE_HUB | {CARD, "LICENSE", ".gitignore"}
CHUNK = 1 << 20


@dataclass(frozen=True)
class Held:
    """A repository at one commit: who may see it, and its files by name."""

    private: bool
    commit: str
    files: Mapping[str, Remote]


@dataclass(frozen=True)
class Local:
    """A file of the package: path within it, size in bytes, sha256 and git blob id in hex."""

    path: str
    size: int
    sha256: str
    git_sha1: str

    def is_in(self, files: Mapping[str, Remote]) -> bool:
        """Whether the hub has exactly this content under this name."""
        remote = files.get(self.path)
        return remote is not None and self.difference(remote) is None

    def difference(self, remote: Remote) -> str | None:
        """How what the hub reports differs from this file, or None."""
        kind, here, reported = ("sha256", self.sha256, remote.sha256) if remote.sha256 else ("git sha1", self.git_sha1, remote.git_sha1)
        if here == reported and self.size == remote.size:
            return None
        return f"{self.path}: the hub reports {remote.size} bytes, {kind} {reported}; the package has {self.size} bytes, {kind} {here}"


@dataclass(frozen=True)
class Comparison:
    """Paths of the package that are new to the repository, changed or the same, and paths that the package does not have."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    same: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def nothing_to_do(self) -> bool:
        """Whether the repository holds the package already."""
        return not (self.new or self.changed or self.gone)


def read(repo: str, revision: str) -> Held | None:
    """The repository at a branch, commit or other ref; None if it has no such ref.

    Raises:
        RepositoryNotFoundError: the repository does not exist, or this token may not see it.
        HfHubHTTPError, httpx.TransportError: any other answer, or none, after some tries.
    """
    url = f"{constants.ENDPOINT}/api/models/{repo}/revision/{quote(revision, safe='')}"
    try:
        info = Info.model_validate(_json(url, {"blobs": "true"}))
    except RevisionNotFoundError:
        return None
    assert info.sha is not None
    return Held(info.private, info.sha, info.files)


def exists(repo: str) -> bool:
    """Whether the repository exists and this token may see it; an answer that leaves that open is raised."""
    try:
        _json(f"{constants.ENDPOINT}/api/models/{repo}", {})
    except GatedRepoError:
        return True
    except RepositoryNotFoundError as error:
        if error.response.status_code != 404:
            raise
        return False
    return True


def tags(repo: str) -> dict[str, str]:
    """The commits of the repository's tags by name."""
    return {entry["name"]: entry["targetCommit"] for entry in _json(f"{constants.ENDPOINT}/api/models/{repo}/refs", {})["tags"]}


def open_pull_requests(repo: str, title: str) -> list[int]:
    """Numbers of the open pull requests of that title, the newest first."""
    found: list[int] = []
    page, seen = 0, 0
    while True:
        url = f"{constants.ENDPOINT}/api/models/{repo}/discussions"
        answer = _json(url, {"type": "pull_request", "status": "open", "p": str(page)})
        found += [one["num"] for one in answer["discussions"] if one["isPullRequest"] and one["title"] == title and one["status"] == "open"]
        page, seen = page + 1, seen + len(answer["discussions"])
        if not answer["discussions"] or seen >= answer["count"]:
            return sorted(found, reverse=True)


def content(repo: str, revision: str, name: str) -> bytes:
    """The bytes of a small file at a commit or another ref."""
    with hub_files.answer(hub_files.Repository(repo, revision).url(name)) as response:
        body: bytes = response.read()
    return body


def compare(package: Mapping[str, Local], files: Mapping[str, Remote]) -> Comparison:
    """Compare the package with what a repository holds."""
    present = {name for name in files if name not in OF_THE_HUB or name in package}
    return Comparison(
        new=tuple(sorted(package.keys() - present)),
        changed=tuple(sorted(name for name in package.keys() & present if not package[name].is_in(files))),
        same=tuple(sorted(name for name in package.keys() & present if package[name].is_in(files))),
        gone=tuple(sorted(present - package.keys())),
    )


def foreign(repo: str, held: Held) -> tuple[str, ...]:
    """The files of a repository that holds something other than a package; () if it holds a package, or nothing of value."""
    others = tuple(sorted(held.files.keys() - HARMLESS))
    manifests = [name for name in (MANIFEST, OLD_MANIFEST) if name in held.files]
    if not others or any(_is_manifest(content(repo, held.commit, name)) for name in manifests):
        return ()
    return others


def _is_manifest(body: bytes) -> bool:
    try:
        found = json.loads(body)
    except ValueError:
        return False
    return isinstance(found, dict) and {"schema_version", "name", "key", "files", "source"} <= found.keys()


def hashed(path: Path, name: str, arrived: Callable[[int], None]) -> Local:
    """A file of the package as it is on disk now; `arrived` gets the bytes of each block."""
    size, sha256 = path.stat().st_size, hashlib.sha256()
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            sha256.update(chunk)
            git.update(chunk)
            arrived(len(chunk))
    return Local(name, size, sha256.hexdigest(), git.hexdigest())


def _json(url: str, params: Mapping[str, str]) -> Any:
    with hub_files.answer(url, params=params) as response:
        response.read()
    return response.json()
