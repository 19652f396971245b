"""A server of a test in a thread of its own, which ends when it is told to: the standard library's looks only every half second."""

from __future__ import annotations

import threading
from http.server import ThreadingHTTPServer


def in_thread(server: ThreadingHTTPServer) -> None:
    """Answer until `server.shutdown()`, which returns within 20 ms."""
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
