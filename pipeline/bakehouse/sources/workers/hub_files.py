"""Files of a hub repository at one commit: what it holds, and fetching one so that a broken-off download goes on where it was.

The client's own download (huggingface_hub 1.21) writes to a file of a random name and deletes it when it fails
(huggingface_hub#4228), so a killed download of 5 GB begins again at nothing. So the bytes are streamed here, through
the client's session, headers and token, into a file that stays.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
from huggingface_hub import constants, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from bakehouse.child import events
from bakehouse.child import redact as discreet
from bakehouse.sources.workers import hub_info
from bakehouse.sources.workers.hub_info import Remote

CHUNK = 1 << 20
TRIES_WITHOUT_A_BYTE = 3
WAITS_S = (1.0, 2.0)
LONGEST_WAIT_S = 60.0
PASSING = {429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Listing:
    """Every file of a repository at a commit, by name, and the licence that its card names ("" for none)."""

    files: dict[str, Remote]
    license: str


@dataclass(frozen=True)
class Repository:
    """A repository of `type` "model" or "dataset" at one commit."""

    id: str
    revision: str
    type: str = "model"

    def url(self, name: str) -> str:
        """Where the file `name` is fetched."""
        return str(hf_hub_url(self.id, name, repo_type=self.type, revision=self.revision))


def listing(repository: Repository) -> Listing:
    """What the repository holds at the commit; refuses an answer about another commit than the pinned one."""
    url = f"{constants.ENDPOINT}/api/{repository.type}s/{repository.id}/revision/{repository.revision}"
    with answer(url, params={"blobs": "true"}) as response:
        info = hub_info.read(response.read())
    if info.sha != repository.revision:
        events.refuse(
            f"The hub answers for {repository.id} at {repository.revision} with another commit, {info.sha}.",
            "Check HF_ENDPOINT: a mirror that does not know commits cannot be used.",
        )
    named = info.card.get("license") if isinstance(info.card, dict) else None
    return Listing(info.files, named if isinstance(named, str) else "")


@contextmanager
def answer(url: str, *, params: Mapping[str, str] | None = None, span: str = "") -> Iterator[httpx.Response]:
    """The hub's answer to a GET, its body not yet read; raises what the client raises for an answer that is no success.

    Asks again, a few times, when the hub cannot be reached, is busy (429: as long as it says, up to a minute) or fails (5xx).
    The client's own retries are of no use for that: once a connection is refused they go on with a session that they
    have closed themselves (huggingface_hub 1.21, `_http_backoff_base`).
    """
    # The login's or HF_TOKEN's token where there is one, and the bytes as they are stored.
    headers = {**build_hf_headers(library_name="bakehouse"), "Accept-Encoding": "identity", **({"Range": span} if span else {})}
    discreet.keep(headers.get("authorization", "").removeprefix("Bearer "))
    for wait in (*WAITS_S, None):
        with ExitStack() as opened:
            try:
                stream = get_session().stream("GET", url, params=params, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
                response = opened.enter_context(stream)
            except (httpx.TransportError, httpx.TimeoutException):
                if wait is None:
                    raise
            else:
                if wait is None or response.status_code not in PASSING:
                    _raise_for_status(response)
                    yield response
                    return
                requested = response.headers.get("Retry-After", "")
                wait = min(float(requested), LONGEST_WAIT_S) if requested.isdigit() else wait
        time.sleep(wait)


def _raise_for_status(response: httpx.Response) -> None:
    """Raise what the client raises; it reads errors out of the answer's body, and breaks at bodies that it does not expect."""
    try:
        hf_raise_for_status(response)
    except HfHubHTTPError:  # some of which are also a ValueError
        raise
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise HfHubHTTPError(f"{response.status_code}", response=response) from error


def fetch_range(repository: Repository, name: str, start: int, end: int) -> bytes:
    """The bytes `start` to `end` (exclusive) of a file; fewer if it is shorter."""
    with answer(repository.url(name), span=f"bytes={start}-{end - 1}") as response:
        content: bytes = response.read()
    return content if response.status_code == 206 else content[start:end]


class _Ranged(io.RawIOBase):
    """A file of a repository, by ranged requests."""

    def __init__(self, repository: Repository, remote: Remote) -> None:
        self._repository, self._remote, self._at = repository, remote, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._remote.size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._remote.size)
        body = fetch_range(self._repository, self._remote.name, self._at, end) if self._at < end else b""
        buffer[: len(body)] = body
        self._at += len(body)
        return len(body)


def opened(repository: Repository, remote: Remote) -> IO[bytes]:
    """The file, to read parts of it without a download; 2 MiB come at once."""
    return io.BufferedReader(_Ranged(repository, remote), 2 << 20)


def fetch(repository: Repository, remote: Remote, to: Path, arrived: Callable[[int], None]) -> str:
    """Bring the file to `to` and return its sha256; goes on with `to`.partial if there is one.

    `arrived` gets how many bytes of the file have come. What is not what the hub announces is deleted and refused.
    """
    if to.exists():
        partial = to
    else:
        partial = to.with_name(f"{to.name}.partial")
        with partial.open("ab"):
            pass
    content = Content(remote.size, arrived)
    with partial.open("r+b") as opened:
        content.read(opened)
        left = content.size
        if left < remote.size:
            _go_on(repository, remote, opened, content)
        if left and not content.matches(remote):  # what an earlier run left may be damaged: once more, from nothing
            content.begin(opened)
            _go_on(repository, remote, opened, content)
    if not content.matches(remote):
        partial.unlink()
        events.refuse(
            f"The hub sent other bytes for {remote.name} than it announces.",
            "Run the same command again; if it happens twice, a proxy or a mirror (HF_ENDPOINT) changes the files.",
            content.comparison(remote),
        )
    partial.replace(to)
    return content.sha256.hexdigest()


class Content:
    """What is known of a file that grows: its size and hashes, kept up with every byte."""

    def __init__(self, whole: int, arrived: Callable[[int], None]) -> None:
        self.whole, self.arrived = whole, arrived
        self._clear()

    def _clear(self) -> None:
        self.size, self.sha256 = 0, hashlib.sha256()
        self.git = hashlib.sha1(b"blob %d\0" % self.whole, usedforsecurity=False)

    def begin(self, opened: IO[bytes]) -> None:
        """Begin again with an empty file."""
        opened.seek(0)
        opened.truncate()
        self._clear()

    def take(self, chunk: bytes) -> None:
        """Count what was appended."""
        self.size += len(chunk)
        self.sha256.update(chunk)
        self.git.update(chunk)
        self.arrived(self.size)

    def read(self, opened: IO[bytes]) -> None:
        """Count what an earlier run left; `opened` then stands at its end."""
        while chunk := opened.read(CHUNK):
            self.take(chunk)

    def matches(self, remote: Remote) -> bool:
        """Whether it is what the hub announces."""
        if remote.sha256:
            return self.size == remote.size and self.sha256.hexdigest() == remote.sha256
        return self.size == remote.size and remote.git_sha1 in (None, self.git.hexdigest())

    def comparison(self, remote: Remote) -> list[str]:
        """Lines that show what was announced and what came."""
        kind, announced, came = "sha256", remote.sha256, self.sha256.hexdigest()
        if remote.sha256 is None:
            kind, announced, came = "git sha1", remote.git_sha1, self.git.hexdigest()
        return [f"announced: {remote.size} bytes, {kind} {announced}", f"received:  {self.size} bytes, {kind} {came}"]


def _go_on(repository: Repository, remote: Remote, opened: IO[bytes], content: Content) -> None:
    """Append what is missing; a connection that breaks off is taken up again as long as bytes keep coming."""
    tries = TRIES_WITHOUT_A_BYTE
    while True:
        before = content.size
        try:
            for chunk in _stream(repository, remote, opened, content):
                opened.write(chunk)
                content.take(chunk)
            return
        except (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError) as error:
            opened.flush()
            tries = TRIES_WITHOUT_A_BYTE if content.size > before else tries - 1
            if not tries:
                events.refuse(
                    f"The connection broke off while {remote.name} was being downloaded: {content.size} of {remote.size} bytes are here.",
                    f"Check the network and run the same command again: it goes on from byte {content.size}.",
                    [str(error)],
                )
            time.sleep(1)


def _stream(repository: Repository, remote: Remote, opened: IO[bytes], content: Content) -> Iterable[bytes]:
    span = f"bytes={content.size}-" if content.size else ""
    with answer(repository.url(remote.name), span=span) as response:
        if content.size and response.status_code != 206:  # a server that knows no ranges sends all of it again
            content.begin(opened)
        yield from response.iter_bytes()
