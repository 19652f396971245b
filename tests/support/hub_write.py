"""The write side of the hub's protocol for its real client: repositories, LFS, commits, branches, tags, pull requests; and its faults.

In tests it is the `workshop` fixture. By hand, `python -m tests.support.hub_write DIR` serves an empty hub that keeps its files in DIR.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from tests.support import serving
from tests.support.hub import _STATUS, Fault, File, Hub, _Answer, _file, _Server

OWNER = "bakers"
WRITER, READER = "hf_writer_token_of_the_tests", "hf_reader_token_of_the_tests"
LFS = 5_000  # bytes; larger files go to LFS, and so do those with these endings
LFS_ENDINGS = (".bin", ".onnx", ".data", ".safetensors", ".pt")
PART = 20_000  # bytes of a part; larger objects are uploaded in parts
_TIME = "2026-01-01T00:00:00.000Z"


@dataclass
class Pull:
    """A pull request."""

    number: int
    title: str
    commit: str
    status: str = "open"


@dataclass
class Repo:
    """A repository: branches and tags are names of commits."""

    private: bool
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pulls: list[Pull] = field(default_factory=list)
    log: list[tuple[str, str, str]] = field(default_factory=list)  # (commit, title, description), the oldest first


@dataclass
class Workshop(Hub):
    """A hub that can be written to.

    `Fault.path` names a step: create, branch, preupload, batch, put, complete, verify, yaml, commit, tag; "read" for any question, or
    "report" for what it says of a file afterwards. Kinds in addition to those of Hub: "409", "412", "413"; "lost" (it is done, but the
    connection ends without an answer); "cut" (the connection ends before anything is done); "echo" (an error that repeats the token);
    "quota" (of batch: every object is refused);
    "moved" (somebody else commits just before); "stall" (nothing until the client has gone).
    """

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="hub-")))
    made: dict[str, Repo] = field(default_factory=dict)
    objects: set[str] = field(default_factory=set)  # sha256 of what LFS has
    put: list[str] = field(default_factory=list)  # oid of every object whose bytes were sent, or oid/part
    put_tokens: list[str] = field(default_factory=list)  # the Authorization header that came with those bytes
    commits: int = 0

    def make(self, repo: str, *, private: bool = True, files: dict[str, bytes] | None = None) -> Repo:
        """A repository with a first commit, as the hub makes it."""
        self.made[repo] = Repo(private)
        contents = {".gitattributes": b"*.bin filter=lfs\n", **(files or {})}
        self.made[repo].branches["main"] = self.commit(repo, {name: self.keep(body) for name, body in contents.items()}, "initial commit")
        return self.made[repo]

    def keep(self, body: bytes) -> File:
        """Bytes as a file on disk."""
        path = self.folder / hashlib.sha256(body).hexdigest()
        if not path.exists():
            path.write_bytes(body)
        return _file(path)

    def commit(self, repo: str, files: dict[str, File], title: str, description: str = "") -> str:
        """A commit with these files; no branch points to it yet."""
        self.commits += 1
        commit = hashlib.sha1(f"{repo} {self.commits} {title}".encode()).hexdigest()
        self.repos[("model", repo, commit)] = dict(files)
        self.made[repo].log.append((commit, title, description))
        return commit

    def resolve(self, repo: str, revision: str) -> str | None:
        """The commit that a branch, a tag, a pull request or a commit means."""
        known = self.made[repo]
        names = {**known.tags, **known.branches, **{f"refs/pr/{pull.number}": pull.commit for pull in known.pulls}}
        commit = names.get(revision, revision)
        return commit if ("model", repo, commit) in self.repos else None

    def holds(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        """The files of a repository at a revision, the hub's own aside."""
        commit = self.resolve(repo, revision)
        assert commit
        return {name: file.path.read_bytes() for name, file in self.repos[("model", repo, commit)].items() if name != ".gitattributes"}

    def stored(self, oid: str) -> Path:
        """Where an uploaded object is."""
        return self.folder / f"lfs-{oid}"


def fault(kind: str, step: str, *, times: int = 1, after: int = 0) -> Fault:
    """A fault of a step, by default once."""
    return Fault(kind, step, after, times)  # type: ignore[arg-type]


_MORE = {
    "409": (409, {"X-Error-Message": "Conflict"}),
    "412": (412, {"X-Error-Message": "A commit has happened since. Please refresh and try again."}),
    "413": (413, {"X-Error-Message": "Payload too large"}),
}
_ROUTES: tuple[tuple[str, str], ...] = (
    ("create", r"/api/repos/create"),
    ("yaml", r"/api/validate-yaml"),
    ("preupload", r"/api/models/([^/]+/[^/]+)/preupload/(.+)"),
    ("commit", r"/api/models/([^/]+/[^/]+)/commit/(.+)"),
    ("branch", r"/api/models/([^/]+/[^/]+)/branch/(.+)"),
    ("tag", r"/api/models/([^/]+/[^/]+)/tag/(.+)"),
    ("batch", r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch"),
    ("verify", r"/lfs/verify/([^/]+/[^/]+)"),
    ("complete", r"/lfs/complete/([0-9a-f]{64})"),
    ("put", r"/lfs/put/([0-9a-f]{64})(?:/(\d+))?"),
)


class _Gone(Exception):
    """The connection ends here."""


class _Writing(_Answer):
    hub: Workshop

    # --- reading, with branches, tags and pull requests ---

    def _files(self, type: str, repo: str, revision: str | None) -> tuple[str, dict[str, File]] | None:
        if repo not in self.hub.made or not self._may_see(repo):
            self._status("404")
            return None
        commit = self.hub.resolve(repo, revision or "main")
        if commit is None:
            self._status("no-revision")
            return None
        return commit, self.hub.repos[("model", repo, commit)]

    def _may_see(self, repo: str) -> bool:
        return not self.hub.made[repo].private or self._token() in (WRITER, READER)

    def _token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _answer(self, path: str) -> None:
        address = urlsplit(self.path)
        # As the real hub does, a wrong token is refused whatever is requested.
        if path.startswith("/api/") and self._token() not in ("", WRITER, READER):
            return self._status("token")
        if self.command in ("POST", "PUT"):
            return self._write(unquote(address.path), parse_qs(address.query))
        if fault := self.hub.fault("read"):
            return self._fail(fault.kind)
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(refs|discussions)", path):
            if self._files("model", found[1], None):
                self._json(self._refs(found[1]) if found[2] == "refs" else self._discussions(found[1]))
            return None
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            return self._info(found[1], found[2])
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/(refs/pr/\d+)/(.+)", path):
            return self._resolve("model", found[1], found[2], found[3])
        return super()._answer(path)

    def _info(self, repo: str, revision: str | None) -> None:
        if not (found := self._files("model", repo, revision)):
            return None
        commit, files = found
        siblings = [
            {"rfilename": name, "size": file.size, "blobId": file.git_sha1}
            | ({"lfs": {"sha256": file.sha256, "size": file.size, "pointerSize": 135}} if _large(name, file.size) else {})
            for name, file in files.items()
        ]
        for entry in [entry for entry in siblings if "lfs" in entry][:1]:
            if self.hub.fault("report"):
                entry["lfs"] = {**entry["lfs"], "sha256": "0" * 64}  # type: ignore[dict-item]
        return self._json({"_id": "0", "id": repo, "sha": commit, "private": self.hub.made[repo].private, "siblings": siblings, "tags": []})

    def _refs(self, repo: str) -> dict[str, Any]:
        known = self.hub.made[repo]

        def refs(kind: str, names: dict[str, str]) -> list[dict[str, str]]:
            return [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit} for name, commit in names.items()]

        return {"branches": refs("heads", known.branches), "tags": refs("tags", known.tags), "converts": [], "pullRequests": []}

    def _discussions(self, repo: str) -> dict[str, Any]:
        pulls = [
            {"num": pull.number, "title": pull.title, "status": pull.status, "isPullRequest": True, "createdAt": _TIME,
             "author": {"name": OWNER}, "repo": {"name": repo, "type": "model"}}
            for pull in self.hub.made[repo].pulls if pull.status == "open"
        ]  # fmt: skip
        return {"discussions": pulls, "count": len(pulls), "start": 0}

    # --- writing ---

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def _write(self, path: str, query: dict[str, list[str]]) -> None:
        step, found = next(((step, match) for step, route in _ROUTES if (match := re.fullmatch(route, path))), ("", None))
        if found is None:
            self._body()
            return self._status("404")
        fault = self.hub.fault(step)
        if fault and fault.kind == "break":  # in the middle of what the client sends
            self.rfile.read(fault.after)
            return self._hang_up()
        body = self._body()
        if fault and fault.kind == "moved":
            self._somebody_else(*found.groups())
        elif fault and fault.kind == "quota":
            error = {"code": 403, "message": "Private repository storage limit reached"}
            return self._json({"objects": [{**one, "error": error} for one in json.loads(body)["objects"]]})
        elif fault and fault.kind not in ("lost", "wrong"):
            return self._fail(fault.kind)
        # Who may only read may open a pull request; addresses for uploads carry a right of their own.
        if step in ("create", "branch", "tag") and self._token() != WRITER:
            return self._status("403" if self._token() == READER else "401")
        act: Callable[..., None] = getattr(self, f"_{step}")
        if fault and fault.kind == "lost":
            self._send = lambda *args: None  # type: ignore[method-assign]
            act(body, query, *found.groups())
            return self._hang_up()
        if step == "put":
            return self._put(body, query, *found.groups(), wrong=bool(fault))
        return act(body, query, *found.groups())

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().strip(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)

    def _fail(self, kind: str) -> None:
        if kind == "cut":
            return self._hang_up()
        if kind == "echo":
            return self._refuse(400, f"cannot read the header Authorization: {self.headers['Authorization']}")
        if kind == "stall":
            self.connection.settimeout(60)
            self.rfile.read(1)  # ends when the client does
            return self._hang_up()
        status, headers = {**_STATUS, **_MORE}[kind]
        return self._send(status, headers, json.dumps({"error": headers.get("X-Error-Message", "failure")}).encode())

    def _json(self, value: Any) -> None:
        self._send(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def _refuse(self, status: int, message: str, code: str = "") -> None:
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        self._send(status, headers, json.dumps({"error": message}).encode())

    def _somebody_else(self, repo: str, branch: str) -> None:
        files = {**self.hub.repos[("model", repo, self.hub.made[repo].branches[branch])], "theirs.txt": self.hub.keep(b"theirs")}
        self.hub.made[repo].branches[branch] = self.hub.commit(repo, files, "somebody else's")

    def _create(self, body: bytes, query: dict[str, list[str]]) -> None:
        asked = json.loads(body)
        repo = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != OWNER:
            return self._refuse(404, "Organization not found")
        url = {"url": f"{self.hub.endpoint}/{repo}", "name": repo}
        if repo in self.hub.made:
            return self._send(409, {}, json.dumps({"error": "You already created this model repo", **url}).encode())
        self.hub.make(repo, private=asked["visibility"] == "private")
        return self._json(url)

    def _yaml(self, body: bytes, query: dict[str, list[str]]) -> None:
        content = json.loads(body)["content"]
        try:
            yaml.safe_load(content.split("---")[1])
        except (yaml.YAMLError, IndexError) as error:
            return self._send(400, {}, json.dumps({"errors": [{"message": str(error).splitlines()[0]}]}).encode())
        return self._json({"errors": [], "warnings": []})

    def _preupload(self, body: bytes, query: dict[str, list[str]], repo: str, revision: str) -> None:
        if not (found := self._writable(repo, unquote(revision), query)):
            return None
        files = self.hub.repos[("model", repo, found)]
        reply = []
        for entry in json.loads(body)["files"]:
            large, there = _large(entry["path"], entry["size"]), files.get(entry["path"])
            oid = there and (there.sha256 if large else there.git_sha1)
            reply.append({"path": entry["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, "oid": oid})
        return self._json({"files": reply})

    def _writable(self, repo: str, revision: str, query: dict[str, list[str]]) -> str | None:
        """The commit to write onto; None after an answer that it may not be."""
        if repo not in self.hub.made or not self._may_see(repo):
            self._status("404")
        elif self._token() == "":
            self._status("401")
        elif self._token() != WRITER and "create_pr" not in query:
            self._status("403")
        elif (commit := self.hub.resolve(repo, revision)) is None:
            self._status("no-revision")
        else:
            return commit
        return None

    def _batch(self, body: bytes, query: dict[str, list[str]], repo: str) -> None:
        asked = json.loads(body)
        assert asked["operation"] == "upload" and asked["transfers"] == ["basic", "multipart"]
        return self._json({"transfer": "multipart", "objects": [self._upload(repo, one["oid"], one["size"]) for one in asked["objects"]]})

    def _upload(self, repo: str, oid: str, size: int) -> dict[str, Any]:
        """How to upload an object: not at all, in one piece, or in parts; at another host, with a signature."""
        reply: dict[str, Any] = {"oid": oid, "size": size, "authenticated": True}
        if oid in self.hub.objects:
            return reply
        elsewhere, sign = f"http://localhost:{self.hub.port}", f"?X-Amz-Signature=signed-{oid[:8]}"
        verify = {"href": f"{self.hub.endpoint}/lfs/verify/{repo}"}
        if size <= PART:
            return reply | {"actions": {"upload": {"href": f"{elsewhere}/lfs/put/{oid}{sign}"}, "verify": verify}}
        parts = {str(n + 1).zfill(5): f"{elsewhere}/lfs/put/{oid}/{n + 1}{sign}" for n in range(-(-size // PART))}
        header = {"chunk_size": str(PART), **parts}
        return reply | {"actions": {"upload": {"href": f"{self.hub.endpoint}/lfs/complete/{oid}", "header": header}, "verify": verify}}

    def _put(self, body: bytes, query: dict[str, list[str]], oid: str, part: str | None, wrong: bool = False) -> None:
        if query.get("X-Amz-Signature") != [f"signed-{oid[:8]}"]:
            return self._refuse(403, "SignatureDoesNotMatch")
        if wrong:
            body = bytes([body[0] ^ 1]) + body[1:]
        with self.hub.lock:
            self.hub.put.append(f"{oid}/{part}" if part else oid)
            self.hub.put_tokens.append(self.headers.get("Authorization", ""))
        path = self.hub.stored(f"{oid}-{part}" if part else oid)
        path.write_bytes(body)
        return self._send(200, {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}, b"")

    def _complete(self, body: bytes, query: dict[str, list[str]], oid: str) -> None:
        parts = [self.hub.stored(f"{oid}-{part['partNumber']}") for part in json.loads(body)["parts"]]
        if not all(part.exists() for part in parts):
            return self._refuse(400, "a part is missing")
        self.hub.stored(oid).write_bytes(b"".join(part.read_bytes() for part in parts))
        return self._json({})

    def _verify(self, body: bytes, query: dict[str, list[str]], repo: str) -> None:
        asked = json.loads(body)
        path = self.hub.stored(asked["oid"])
        if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != asked["oid"]:
            path.unlink(missing_ok=True)
            return self._refuse(422, "the object's sha256 is another one than was announced")
        with self.hub.lock:
            self.hub.objects.add(asked["oid"])
        return self._json({})

    def _commit(self, body: bytes, query: dict[str, list[str]], repo: str, revision: str) -> None:
        parent = self._writable(repo, unquote(revision), query)
        if not parent:
            return None
        lines = [json.loads(line) for line in body.splitlines()]
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, parent):
            return self._fail("412")
        files = dict(self.hub.repos[("model", repo, parent)])
        for line in lines[1:]:
            if problem := self._operation(files, line["key"], line["value"]):
                return self._refuse(*problem)
        known = self.hub.made[repo]
        commit = self.hub.commit(repo, files, header["summary"], header["description"])
        answer = {"success": True, "commitOid": commit, "commitUrl": f"{self.hub.endpoint}/{repo}/commit/{commit}", "hookOutput": ""}
        if "create_pr" in query:
            known.pulls.append(Pull(len(known.pulls) + 1, header["summary"], commit))
            answer["pullRequestUrl"] = f"{self.hub.endpoint}/{repo}/discussions/{len(known.pulls)}"
        else:
            known.branches[unquote(revision)] = commit
        return self._json(answer)

    def _operation(self, files: dict[str, File], key: str, value: dict[str, Any]) -> tuple[int, str, str] | None:
        """Carry out a line of a commit; what is wrong with it."""
        path = value["path"]
        if key == "deletedFile":
            if files.pop(path, None) is None:
                return 404, "A file with this name doesn't exist", "EntryNotFound"
        elif key == "file":
            files[path] = self.hub.keep(base64.b64decode(value["content"]))
        elif value["oid"] not in self.hub.objects:
            return 400, f"the LFS object of {path} was never uploaded", ""
        else:
            files[path] = _file(self.hub.stored(value["oid"]))
        return None

    def _branch(self, body: bytes, query: dict[str, list[str]], repo: str, name: str) -> None:
        known, start = self.hub.made[repo], json.loads(body).get("startingPoint", "main")
        if unquote(name) in known.branches:
            return self._refuse(409, "Reference already exists")
        commit = self.hub.resolve(repo, start)
        if commit is None:
            return self._status("no-revision")
        known.branches[unquote(name)] = commit
        return self._json({})

    def _tag(self, body: bytes, query: dict[str, list[str]], repo: str, revision: str) -> None:
        known, name = self.hub.made[repo], json.loads(body)["tag"]
        if name in known.tags:
            return self._refuse(409, "Tag reference exists already")
        commit = self.hub.resolve(repo, unquote(revision))
        if commit is None:
            return self._status("no-revision")
        known.tags[name] = commit
        return self._json({})


def _large(name: str, size: int) -> bool:
    return size > LFS or name.endswith(LFS_ENDINGS)


def start(folder: Path) -> tuple[Workshop, ThreadingHTTPServer]:
    """A running hub without repositories, on a free port of this machine; `shutdown()` and `server_close()` end it."""
    hub = Workshop(folder=folder)
    folder.mkdir(parents=True, exist_ok=True)
    server = _Server(("127.0.0.1", 0), type("Answer", (_Writing,), {"hub": hub}))
    hub.port = server.server_address[1]
    serving.in_thread(server)
    return hub, server


def main() -> None:
    """Serve an empty hub until interrupted."""
    hub, server = start(Path(sys.argv[1]))
    print(f"export HF_ENDPOINT={hub.endpoint} HF_TOKEN={WRITER}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.shutdown()


if __name__ == "__main__":
    main()
