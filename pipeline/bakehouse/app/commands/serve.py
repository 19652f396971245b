"""`bakehouse serve`: a package behind an endpoint that clients of OpenAI's API talk with."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from importlib.util import find_spec

from bakehouse.app import running
from bakehouse.app.screen import escape_what_cannot_be_shown
from bakehouse.cluster.connection import is_loopback
from bakehouse.errors import Failure, NotInstalled

_KEY = "BAKEHOUSE_API_KEY"
_NEEDS = ("fastapi", "uvicorn")


def parser() -> argparse.ArgumentParser:
    """The arguments of `serve`."""
    made = running.parser(
        "serve",
        "Serve a package at an OpenAI-compatible endpoint (/v1/models, /v1/chat/completions), until Ctrl-C. "
        "Only programs on this machine can reach it, unless --host names another address; then a key is required.",
    )
    made.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="the address to listen on (default: 127.0.0.1)")
    made.add_argument("--port", type=_port, default=8000, metavar="N", help="the port to listen on (default: 8000; 0: any free one)")
    made.add_argument(
        "--api-key", metavar="KEY", help=f"the key that clients must send; better given in {_KEY}, since others see arguments"
    )
    return made


def _port(text: str) -> int:
    if not 0 <= (number := int(text)) <= 65535:
        raise argparse.ArgumentTypeError("it must be between 0 and 65535")
    return number


def run(given: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM.

    Raises:
        Failure: no key for an address that others reach, or the package cannot be run. NotInstalled: the extra is missing.
    """
    escape_what_cannot_be_shown()
    if absent := [name for name in _NEEDS if find_spec(name) is None]:
        raise NotInstalled(f"{' and '.join(absent)} not installed", remedy="`pip install 'bakehouse[serve]'` brings what a server needs")
    key = key_for(given.host, given.api_key, os.environ)
    from bakehouse.inference import server

    with running.loaded(running.package(given.package, given.device), given.device) as runner:

        def ready(port: int) -> None:
            host = f"[{given.host}]" if ":" in given.host else given.host
            at = f"http://{host}:{port}/v1{'' if key is None else ', with a key'}"
            print(f"{runner.name} on {runner.loaded.device}: {at}; Ctrl-C stops it.", flush=True)

        server.serve(runner, given.host, given.port, key, ready)
    return 0


def key_for(host: str, given: str | None, environ: Mapping[str, str]) -> str | None:
    """The key that clients must send; None if they need none.

    Raises:
        Failure: other machines reach the address without a key, or the key is empty.
    """
    key = environ.get(_KEY) if given is None else given
    if key is not None and not key.strip():
        raise Failure("the key is empty, so everybody would have it", remedy=f"set --api-key or {_KEY} to a long random text")
    if key is None and not is_loopback(host):
        raise Failure(f"other machines can reach {host}, and the key is missing", remedy=f"set {_KEY}, or leave out --host")
    return key
