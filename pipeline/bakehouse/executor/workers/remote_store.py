"""Talks to the store that machines share, wherever fsspec reaches: which steps it has, bring one here, put one into it.

The URL is in BAKEHOUSE_REMOTE, as it may hold a password. At that place, `objects/ab/<sha256>` are the contents of files and
`steps/<kind>/<key>.json` the records, written last: what a record names is present and complete, whoever else writes the same step
meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, assert_never

from bakehouse.child import events, start
from bakehouse.child import redact as discreet
from bakehouse.executor.seams import FetchStep, ListSteps, PutStep, SizeOf, StoreRequest, StoreResult
from bakehouse.executor.workers import remote_errors
from bakehouse.executor.workers.remote_errors import Corrupt
from bakehouse.formats import json_text
from bakehouse.records import FileRecord

_BLOCK_BYTES = 4 << 20
_TRIES = 2
_MANY = 500  # steps of one kind, from which on listing is cheaper than a question for each: S3 lists a thousand names in an answer
_SHOWN = 120  # characters of a name that is wrong
_RENAMES = {"file", "local", "sftp", "ssh", "smb"}  # where a file under its name may be half a file; object stores show complete ones only
_SHA256 = re.compile(r"[0-9a-f]{64}")


def run(request: StoreRequest) -> StoreResult:
    """Do what is requested; that a remote is out of reach or refuses us is a result, a corrupt one and a wrong URL are refused."""
    discreet.install(events.progress)
    return remote_errors.explained(lambda: done(opened(os.environ["BAKEHOUSE_REMOTE"], request.patience_s), request))


def done(remote: Remote, request: StoreRequest) -> StoreResult:
    """What the work comes to."""
    match request.work:
        case ListSteps(names=names):
            return StoreResult(present=present(remote, names))
        case FetchStep(name=name, folder=folder):
            return StoreResult(fetched_bytes=fetch(remote, name, folder))
        case PutStep(name=name, folder=folder):
            return StoreResult(sent_bytes=put(remote, name, folder))
        case SizeOf(name=name):
            return StoreResult(size_bytes=size(remote, name))
        case _:
            assert_never(request.work)


def opened(url: str, patience_s: float) -> Remote:
    """The remote at a URL; some drivers connect for this."""
    import fsspec

    with remote_errors.of_the_url():
        fsspec.get_filesystem_class(fsspec.utils.get_protocol(url))  # importing a driver takes its time, and is no silence
        with remote_errors.answering(patience_s):
            return Remote(url, patience_s)


class Remote:
    """A place on a file system of fsspec's that may be silent for `patience_s` seconds."""

    def __init__(self, url: str, patience_s: float) -> None:
        import fsspec

        options: dict[str, object] = {}
        s3 = url.startswith(("s3:", "s3a:"))
        if s3:
            timeouts = {"connect_timeout": patience_s, "read_timeout": patience_s, "retries": {"total_max_attempts": _TRIES}}
            options = {"config_kwargs": timeouts, "use_listings_cache": False}
        self.patience_s = patience_s
        self.lists_pages = s3  # its driver has a time limit for each page, so that a long list is not taken for silence
        self.fs, root = fsspec.core.url_to_fs(url, **options)
        if s3:
            self.fs.retries = _TRIES  # by default 5, each of which botocore tries again itself (s3fs 2026.9, `_error_wrapper`)
        self.root = root.rstrip("/")
        protocols = self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,)
        self.renames = bool(_RENAMES & set(protocols))

    def step(self, name: str) -> str:
        """Where a step's record is."""
        return f"{self.root}/steps/{name}.json"

    def content(self, digest: str) -> str:
        """Where the bytes of that sha256 are."""
        return f"{self.root}/objects/{digest[:2]}/{digest}"

    def size(self, path: str) -> int | None:
        """Size in bytes, or None if it does not exist."""
        try:
            return int(self.fs.info(path)["size"])
        except FileNotFoundError:
            return None

    def write(self, path: str, body: Path) -> None:
        """Put a file into it, under its name only when it is complete."""
        if not self.renames:
            self.fs.put_file(str(body), path)
            return
        part = f"{path}.{uuid.uuid4().hex[:8]}.part"
        self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.fs.put_file(str(body), part)
        self.fs.mv(part, path)


def present(remote: Remote, names: Iterable[str]) -> tuple[str, ...]:
    """Which of these steps the remote has."""
    with remote_errors.of_the_address(), remote_errors.answering(remote.patience_s):
        remote.fs.exists(remote.root)  # which fails if the remote is out of reach, so that it is not taken for an empty one
    by_kind: dict[str, list[str]] = {}
    for name in names:
        by_kind.setdefault(name.partition("/")[0], []).append(name)
    return tuple(chain.from_iterable(_present(remote, kind, of_kind) for kind, of_kind in by_kind.items()))


def _present(remote: Remote, kind: str, names: Iterable[str]) -> Iterator[str]:
    """Of these steps, which are all of one kind, those that the remote has."""
    names = tuple(names)
    if remote.lists_pages and len(names) > _MANY:
        listed = _listed(remote, kind)
        yield from (name for name in names if f"{name}.json".partition("/")[2] in listed)
        return
    for name in names:
        with remote_errors.answering(remote.patience_s):
            if remote.size(remote.step(name)) is not None:
                yield name


def _listed(remote: Remote, kind: str) -> frozenset[str]:
    """The names of all records of a kind."""
    try:
        return frozenset(path.rpartition("/")[2] for path in remote.fs.ls(f"{remote.root}/steps/{kind}", detail=False))
    except FileNotFoundError:
        return frozenset()


def size(remote: Remote, name: str) -> int | None:
    """The size of a step's files in bytes, by its record; None if it is not there."""
    try:
        body = remote.fs.cat_file(remote.step(name))
    except FileNotFoundError:
        return None
    return sum(file.size for file in _files(name, body))


def fetch(remote: Remote, name: str, folder: Path) -> int:
    """Bring a step here and return its size in bytes; every byte is compared with the sha256 in the record on its way."""
    body = remote.fs.cat_file(remote.step(name))
    files = _files(name, body)
    done, total = 0, sum(file.size for file in files)
    for file in files:
        events.progress(f"fetching {file.path}", done, total, "B")
        target = folder / "files" / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if _bring(remote, file, target) and (found := _bring(remote, file, target)):  # once more: it may have been the line
            raise Corrupt(f"{remote.content(file.sha256)} {found}")
        done += file.size
    (folder / "record.json").write_bytes(body)
    return total


def _files(name: str, body: bytes) -> list[FileRecord]:
    """The files that a record lists; of another version of Bakehouse, too, whose records have other fields.

    Raises:
        Corrupt: it is not the record of that step, or lists what could lie outside its folder.
    """
    try:
        record: Any = json_text.loads(body)
        if (found := f"{record['kind']}/{record['key']}") != name:
            raise Corrupt(f"the record of {name} is that of {found[:_SHOWN]}")
        return [_file(name, file["path"], file["size"], file["sha256"]) for file in record["files"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Corrupt(f"the record of {name} cannot be read") from error


def _file(name: str, path: str, size: object, sha256: str) -> FileRecord:
    parts = path.split("/")
    if not _SHA256.fullmatch(sha256) or not isinstance(size, int):
        raise Corrupt(f"the record of {name} lists {path[:_SHOWN]!r} without size or sha256")
    if {"", ".", ".."} & set(parts) or "\\" in path or ":" in parts[0]:
        raise Corrupt(f"the record of {name} lists {path[:_SHOWN]!r}, which is not a path within its folder")
    return FileRecord(path=path, size=size, sha256=sha256)


def _bring(remote: Remote, file: FileRecord, target: Path) -> str:
    """Copy a file's content here; what is wrong with it, or ""."""
    path, digest, size = remote.content(file.sha256), hashlib.sha256(), 0
    try:
        with remote.fs.open(path, "rb", block_size=_BLOCK_BYTES, cache_type="none") as source, target.open("wb") as out:
            while block := source.read(_BLOCK_BYTES):
                size += len(block)
                if size > file.size:
                    break
                out.write(block)
                digest.update(block)
    except FileNotFoundError:
        return "is missing, although a record names it"
    if digest.hexdigest() == file.sha256 and size == file.size:
        return ""
    return f"has other bytes ({size:,} bytes with the sha256 {digest.hexdigest()[:12]}…)"


def put(remote: Remote, name: str, folder: Path) -> int:
    """Bring a step into the remote: contents that it does not have yet, then the record; how many bytes were sent."""
    record = folder / "manifest.json"
    sent = 0
    for file in _files(name, record.read_bytes()):
        path = remote.content(file.sha256)
        if remote.size(path) == file.size:
            continue
        events.progress(f"sending {file.path}")
        local = folder / "files" / file.path
        if _digest(local) != file.sha256:
            events.refuse(f"{file.path} is not as it was made", "`bakehouse check` names what is damaged here, and how to repair it.")
        remote.write(path, local)
        sent += file.size
    remote.write(remote.step(name), record)
    return sent


def _digest(path: Path) -> str:
    with path.open("rb") as body:
        return hashlib.file_digest(body, "sha256").hexdigest()


if __name__ == "__main__":
    start.run(run, StoreRequest, online=True)
