"""An S3 server in a process of its own (moto's), on loopback if nothing else is said, and a line to it that can be cut.

By hand, `python -m tests.support.s3 ADDRESS PORT` serves an empty bucket.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support import serving

BUCKET = "shared"


@dataclass
class Line:
    """A TCP line to the server; after `budget` bytes from it, every connection is cut (None: never)."""

    port: int
    budget: int | None = None


@dataclass(frozen=True)
class Server:
    """Where it listens, and what a client must have in its environment."""

    port: int
    host: str = "127.0.0.1"

    def env(self, port: int | None = None) -> dict[str, str]:
        return {
            "PIPELINE_REMOTE": f"s3://{BUCKET}/store",
            "AWS_ENDPOINT_URL": f"http://{self.host}:{port or self.port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "very-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        # moto asks who is there once a signed request has come, but does not look at the signature itself.
        credential = "testing/20260101/us-east-1/s3/aws4_request"
        headers = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0",
            "Content-Type": "application/octet-stream",
        }
        asked = urllib.request.Request(f"http://{self.host}:{self.port}/{BUCKET}{path}", data=body, method=method, headers=headers)
        with urllib.request.urlopen(asked, timeout=20) as answer:
            read: bytes = answer.read()
            return read

    def names(self) -> list[str]:
        listed = self.request("GET", "?list-type=2").decode()
        return [part.split("</Key>")[0] for part in listed.split("<Key>")[1:]]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serve(port: int | None = None, log: Path | None = None, host: str = "127.0.0.1") -> Iterator[Server]:
    """The server, with an empty bucket, at this port or at any; `log` gets a line a request."""
    server = Server(port or _free_port(), host)
    argv = [sys.executable, "-m", "moto.server", "-H", host, "-p", str(server.port)]
    with log.open("wb") if log else contextlib.nullcontext(subprocess.DEVNULL) as noted:
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=noted)
    try:
        until = time.monotonic() + 120
        while True:
            try:
                server.request("PUT", "")
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None and time.monotonic() < until, "the S3 server did not start"
                time.sleep(0.2)
        yield server
    finally:
        process.kill()
        process.wait()


@contextmanager
def refusing() -> Iterator[int]:
    """The port of a server that lets nobody in."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    serving.in_thread(server)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class _Refusing(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def _refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET = do_PUT = do_POST = _refuse


@contextmanager
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextmanager
def line(server: Server) -> Iterator[Line]:
    """A line to the server that can be cut while a test runs."""
    listener = socket.create_server(("127.0.0.1", 0))
    found = Line(listener.getsockname()[1])
    threading.Thread(target=_accept, args=(listener, server.port, found), daemon=True).start()
    try:
        yield found
    finally:
        listener.close()


def _accept(listener: socket.socket, port: int, found: Line) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            upstream = socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=_pump, args=(client, upstream, None), daemon=True).start()
            threading.Thread(target=_pump, args=(upstream, client, found), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, counted: Line | None) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(65536):
            if counted and counted.budget is not None:
                block = block[: max(0, counted.budget)]
                counted.budget -= len(block)
            if not block:
                break
            target.sendall(block)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


def main() -> None:
    """Serve until interrupted."""
    with serve(int(sys.argv[2]), host=sys.argv[1]):
        print("serving", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
