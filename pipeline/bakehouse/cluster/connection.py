"""How the machines of a cluster find and trust each other: the scheduler's address, and certificates where others could listen."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bakehouse.errors import Failure, NotInstalled

CLUSTER, CERTIFICATES = "PIPELINE_CLUSTER", "PIPELINE_CLUSTER_CERTIFICATES"
CA, MEMBER, MEMBER_KEY = "ca.pem", "member.pem", "member-key.pem"
MAKE = f"set {CERTIFICATES} to a copy of the folder that `bakehouse cluster certificates DIR` writes"


def require(*names: str) -> None:
    """See that what the extra `cluster` brings is here.

    Raises:
        NotInstalled: it is not.
    """
    if absent := [name for name in names or ("distributed",) if find_spec(name) is None]:
        raise NotInstalled(f"{' and '.join(absent)} not installed", remedy="`pip install 'bakehouse[cluster]'` brings what a cluster needs")


def address(given: str) -> str:
    """The scheduler's address, as it was given.

    Raises:
        Failure: it is none, or it is one without TLS that is not on this machine.
    """
    parts = urlsplit(given)
    try:
        complete = parts.scheme in ("tcp", "tls") and parts.hostname and parts.port and not parts.path
    except ValueError:  # a port that is not a number
        complete = False
    if not complete:
        raise Failure(f"{given!r} is not the address of a scheduler", remedy="write it as tls://HOST:8786, or tcp://127.0.0.1:8786")
    if parts.scheme == "tcp" and not is_loopback(str(parts.hostname)):
        raise Failure(
            f"the scheduler at {given} has no TLS, so whoever reaches it can run programs on all machines of the cluster",
            remedy=f"write it as tls://, and {MAKE}",
        )
    return given


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def has_certificates(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether certificates are named."""
    return bool(environ.get(CERTIFICATES))


def security(scheme: str, environ: Mapping[str, str] = os.environ) -> Any:
    """What distributed takes for `security`: certificates for tls, None for tcp.

    Raises:
        Failure: the certificates are not there.
    """
    if scheme != "tls":
        return None
    given = environ.get(CERTIFICATES)
    if not given:
        raise Failure("TLS needs certificates", where=CERTIFICATES, remedy=MAKE)
    folder = Path(given)
    if absent := [name for name in (CA, MEMBER, MEMBER_KEY) if not (folder / name).is_file()]:
        raise Failure(f"{given} has no {', '.join(absent)}", where=CERTIFICATES, remedy=MAKE)
    from distributed.security import Security

    member = {f"tls_{role}_{part}": str(folder / name) for role in ("client", "scheduler", "worker") for part, name in _PARTS}
    return Security(require_encryption=True, tls_ca_file=str(folder / CA), **member)


_PARTS = (("cert", MEMBER), ("key", MEMBER_KEY))
