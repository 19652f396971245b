"""A local server that speaks as much of the hub's read protocol as its real client needs, and can be configured to misbehave.

In tests it is the `hub` fixture. By hand, `python -m tests.support.hub DIR REPO COMMIT [ADDRESS]` serves a folder and prints HF_ENDPOINT.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

import yaml

from tests.support import serving

LARGE = 100_000  # bytes; larger files are kept in LFS, whose sha256 the hub tells
_API = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+)(?:/(.*))?)?")
_CDN = re.compile(r"/cdn/(models|datasets)/([^/]+/[^/]+)/([^/]+)/(.+)")
_RESOLVE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass(frozen=True)
class File:
    """One served file, as the hub tells of it."""

    path: Path
    size: int
    sha256: str
    git_sha1: str

    @property
    def large(self) -> bool:
        return self.size > LARGE

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.git_sha1


@dataclass(frozen=True)
class Fault:
    """How an answer goes wrong.

    Attributes:
        kind: a status with the hub's headers; "echo": an error that repeats the token; "break": the connection ends after `after` bytes
            of the whole file; "wrong": the byte at `after` is another one; "slow": `after` bytes a second.
        path: the file that it concerns, "api" for the listing, or "" for every request.
        times: how often; -1 is always.
    """

    kind: Literal["401", "token", "gated", "403", "404", "no-revision", "429", "500", "echo", "break", "wrong", "slow"]
    path: str = ""
    after: int = 0
    times: int = -1


@dataclass
class Hub:
    """The server's state: what it serves, how it misbehaves, and what was requested."""

    port: int = 0
    host: str = "127.0.0.1"
    cdn: str = "localhost"  # another name of it: the hub sends who wants a large file to another host
    repos: dict[tuple[str, str, str], dict[str, File]] = field(default_factory=dict)  # (type, id, commit) -> files
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)  # (method, path)
    tokens: list[str] = field(default_factory=list)  # the Authorization header of every request, "" if there was none
    sent: Counter[str] = field(default_factory=Counter)  # bytes sent, by file
    busy: int = 0  # answers that are being given
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT must be."""
        return f"http://{self.host}:{self.port}"

    def serve(self, folder: Path, repo: str, commit: str, type: str = "model") -> None:
        """Offer `folder` as `repo` at `commit`."""
        files = {path.relative_to(folder).as_posix(): _file(path) for path in sorted(folder.rglob("*")) if path.is_file()}
        with self.lock:
            self.repos[(type, repo, commit)] = files

    def misbehave(self, *faults: Fault) -> None:
        """From now on these faults, and no others."""
        with self.lock:
            self.faults = list(faults)

    def forget(self) -> None:
        """No faults and no counts any more; what is served stays."""
        with self.lock:
            self.faults, self.requests, self.tokens = [], [], []
            self.sent.clear()

    def wait_until_idle(self) -> None:
        """Return when no answer is being given any more, be it to a client that was killed."""
        while self.busy:
            time.sleep(0.01)

    def fault(self, path: str) -> Fault | None:
        """The fault that an answer about `path` must show, counted down."""
        with self.lock:
            for number, fault in enumerate(self.faults):
                if fault.path in ("", path) and fault.times:
                    left = fault.times - 1 if fault.times > 0 else -1
                    self.faults[number] = Fault(fault.kind, fault.path, fault.after, left)
                    return fault
        return None


def _file(path: Path) -> File:
    size, sha256 = path.stat().st_size, hashlib.sha256()
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as opened:
        while chunk := opened.read(1 << 20):
            sha256.update(chunk)
            git.update(chunk)
    return File(path, size, sha256.hexdigest(), git.hexdigest())


_STATUS = {
    "401": (401, {"X-Error-Message": "Invalid username or password."}),
    "token": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
    "gated": (403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this model is restricted."}),
    "403": (403, {"X-Error-Message": "Forbidden."}),
    "404": (404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}),
    "no-revision": (404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"}),
    "no-entry": (404, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}),
    "429": (429, {"Retry-After": "1", "RateLimit": '"api";r=0;t=0', "RateLimit-Policy": '"fixed window";"api";q=1;w=1'}),
    "500": (500, {}),
    "echo": (400, {}),
}


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        with self.hub.lock:
            self.hub.requests.append((self.command, path))
            self.hub.tokens.append(self.headers.get("Authorization", ""))
            self.hub.busy += 1
        try:
            self._answer(path)
        finally:
            with self.hub.lock:
                self.hub.busy -= 1

    def _answer(self, path: str) -> None:
        if found := _API.fullmatch(path):
            self._api(found[1].removesuffix("s"), found[2], found[3], found[4])
        elif found := _RESOLVE.fullmatch(path):
            self._resolve("dataset" if found[1] else "model", found[2], found[3], found[4])
        elif found := _CDN.fullmatch(path):
            self._cdn(found[1].removesuffix("s"), found[2], found[3], found[4])
        else:
            self._status("404")

    def _status(self, kind: str) -> None:
        status, headers = _STATUS[kind]
        if kind == "echo":
            headers = {"X-Error-Message": f"cannot read the header Authorization: {self.headers['Authorization']}"}
        self._send(status, headers, json.dumps({"error": headers.get("X-Error-Message", "failure")}).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _files(self, type: str, repo: str, revision: str | None) -> tuple[str, dict[str, File]] | None:
        """The commit and its files; None after an answer that there are none."""
        commits = {commit: files for (its, id, commit), files in self.hub.repos.items() if (its, id) == (type, repo)}
        if not commits:
            self._status("404")
            return None
        commit = next(iter(commits)) if revision in (None, "main") else str(revision)
        if commit not in commits:
            self._status("no-revision")
            return None
        return commit, commits[commit]

    def _api(self, type: str, repo: str, what: str | None, revision: str | None) -> None:
        if fault := self.hub.fault("api"):
            return self._status(fault.kind)
        if not (found := self._files(type, repo, revision)):
            return None
        commit, files = found
        if what == "tree":
            entries = [
                {"type": "file", "path": name, "size": file.size, "oid": file.git_sha1}
                | ({"lfs": {"oid": file.sha256, "size": file.size, "pointerSize": 135}} if file.large else {})
                for name, file in files.items()
            ]
            return self._send(200, {"Content-Type": "application/json"}, json.dumps(entries).encode())
        siblings = [
            {"rfilename": name, "size": file.size, "blobId": file.git_sha1}
            | ({"lfs": {"sha256": file.sha256, "size": file.size, "pointerSize": 135}} if file.large else {})
            for name, file in files.items()
        ]
        info = {"_id": "0", "id": repo, "sha": commit, "private": False, "downloads": 0, "likes": 0, "tags": [], "siblings": siblings}
        info |= _card_data(files) | _config(files)
        return self._send(200, {"Content-Type": "application/json"}, json.dumps(info).encode())

    def _resolve(self, type: str, repo: str, revision: str, name: str) -> None:
        if not (found := self._files(type, repo, revision)):
            return None
        commit, files = found
        if name not in files:
            return self._status("no-entry")
        file = files[name]
        fault = None if file.large else self.hub.fault(name)
        if fault and fault.kind in _STATUS:
            return self._status(fault.kind)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{file.etag}"'}
        if file.large:  # from another host, as the hub does
            headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
            headers["Location"] = f"http://{self.hub.cdn}:{self.hub.port}/cdn/{type}s/{repo}/{commit}/{quote(name)}"
            return self._send(302, headers, b"")
        return self._bytes(name, file, headers, fault)

    def _cdn(self, type: str, repo: str, commit: str, name: str) -> None:
        file = self.hub.repos[(type, repo, commit)][name]
        fault = self.hub.fault(name)
        if fault and fault.kind in _STATUS:
            return self._status(fault.kind)
        return self._bytes(name, file, {"ETag": f'"{file.sha256}"'}, fault)

    def _bytes(self, name: str, file: File, headers: dict[str, str], fault: Fault | None) -> None:
        start, end, status = 0, file.size, 200
        headers = headers | {"Accept-Ranges": "bytes"}
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end, status = int(asked[1]), min(int(asked[2]) + 1 if asked[2] else file.size, file.size), 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        self.send_response(status)
        for key, value in {"Content-Length": str(end - start), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        with file.path.open("rb") as opened:
            opened.seek(start)
            self._pour(name, opened.read, start, end, fault)

    def _pour(self, name: str, read, start: int, end: int, fault: Fault | None) -> None:  # type: ignore[no-untyped-def]
        at, chunk = start, 1 << 16
        if fault and fault.kind == "break":
            end = min(end, fault.after)
        if fault and fault.kind == "slow":
            chunk = max(1, fault.after // 20)
        while at < end:
            data = bytearray(read(min(chunk, end - at)))
            if fault and fault.kind == "wrong" and at <= fault.after < at + len(data):
                data[fault.after - at] ^= 0xFF
            try:
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):  # the client has gone
                self.close_connection = True
                return
            at += len(data)
            with self.hub.lock:
                self.hub.sent[name] += len(data)
            if fault and fault.kind == "slow":
                time.sleep(0.05)
        if fault and fault.kind == "break":
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that goes away is no error of the server
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def _card_data(files: dict[str, File]) -> dict[str, Any]:
    """What the hub reads from the card's front matter, if there is a card with one."""
    card = files["README.md"].path.read_text(encoding="utf-8") if "README.md" in files else ""
    front = card.split("---\n")[1] if card.startswith("---\n") else ""
    return {"cardData": yaml.safe_load(front)} if front else {}


def _config(files: dict[str, File]) -> dict[str, Any]:
    """What the hub tells of config.json, if there is one that it can read."""
    try:
        found = json.loads(files["config.json"].path.read_text(encoding="utf-8"))
    except (KeyError, ValueError):
        return {}
    return {"config": {name: found[name] for name in ("architectures", "model_type") if name in found}} if isinstance(found, dict) else {}


def start(host: str = "127.0.0.1", cdn: str = "localhost") -> tuple[Hub, ThreadingHTTPServer]:
    """A running hub without repositories, on a free port of this machine; `shutdown()` and `server_close()` end it."""
    hub = Hub(host=host, cdn=cdn)
    server = _Server((host, 0), type("Answer", (_Answer,), {"hub": hub}))
    hub.port = server.server_address[1]
    serving.in_thread(server)
    return hub, server


def main() -> None:
    """Serve a directory until interrupted."""
    folder, repo, commit, *host = sys.argv[1:5]
    hub, server = start(host[0], host[0]) if host else start()
    hub.serve(Path(folder), repo, commit)
    print(f"export HF_ENDPOINT={hub.endpoint}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.shutdown()


if __name__ == "__main__":
    main()
