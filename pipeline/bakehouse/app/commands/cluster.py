"""`bakehouse cluster`: its scheduler, all of it on one machine, and its certificates."""

from __future__ import annotations

import argparse
from pathlib import Path

from bakehouse.app.commands.worker import count, say, tag, workers
from bakehouse.app.screen import escape_what_cannot_be_shown
from bakehouse.cluster import certificates, connection, nodes
from bakehouse.errors import Failure

_PORT = 8786


def parser() -> argparse.ArgumentParser:
    """The arguments of `cluster`."""
    made = argparse.ArgumentParser(
        "bakehouse cluster",
        description="scheduler: run the scheduler that workers and askers connect to. local: run it with workers on this machine alone. "
        "certificates: write what the machines of a cluster know each other by.",
    )
    made.add_argument("action", choices=("scheduler", "local", "certificates"), help="what to do")
    made.add_argument("folder", nargs="?", type=Path, metavar="DIR", help="of certificates: where to write them")
    made.add_argument("-n", dest="count", type=count, metavar="N", help="of local: how many workers (default: 2)")
    made.add_argument("--host", metavar="ADDRESS", help="of scheduler: the address to listen on, with TLS (default: 127.0.0.1)")
    made.add_argument("--port", type=int, metavar="N", help=f"of scheduler and local: the port (default: {_PORT}; 0: any free one)")
    tag(made)
    return made


_TAKES = {"scheduler": ("host", "port"), "local": ("count", "port", "tag"), "certificates": ("folder",)}


def run(given: argparse.Namespace) -> int:
    """Carry it out.

    Raises:
        Failure: something is given that this action does not take, or it cannot be done. NotInstalled: the extra is missing.
    """
    escape_what_cannot_be_shown()
    idle = [
        name for name in ("folder", "count", "host", "port", "tag") if getattr(given, name) is not None and name not in _TAKES[given.action]
    ]
    if idle:
        shown = {"folder": "DIR", "count": "-n"}
        raise Failure(f"`bakehouse cluster {given.action}` takes no {', '.join(shown.get(one, f'--{one}') for one in idle)}")
    if given.action == "certificates":
        return _certificates(given.folder)
    connection.require()
    port = _PORT if given.port is None else given.port
    if given.action == "local":
        nodes.local(port, lambda address: workers(address, given.count or 2, given.tag or ()), say)
    else:
        nodes.scheduler(given.host or "127.0.0.1", port, say)
    return 0


def _certificates(folder: Path | None) -> int:
    if folder is None:
        raise Failure("it is not known where the certificates go", remedy="name a folder: `bakehouse cluster certificates DIR`")
    connection.require("cryptography")
    until = certificates.write(folder)
    say(f"certificates in {folder}, valid until {until:%Y-%m-%d}: copy the folder to every machine of the cluster, and to nobody else;")
    say(f"set {connection.CERTIFICATES} to it there")
    return 0
