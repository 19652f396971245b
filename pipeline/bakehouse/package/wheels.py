"""The installed tools by the hashes that the installer recorded: a version is what was requested, a hash is what was installed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from importlib import metadata

from bakehouse.records import Wheel

# Written by the installer, so different on every machine.
_INSTALLERS = ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD")


def installed(tools: Mapping[str, str]) -> tuple[Wheel, ...]:
    """Those of `tools` (name -> version) that are installed here in exactly that version, sorted by name."""
    found = []
    for name, version in sorted(tools.items()):
        try:
            distribution = metadata.distribution(name)
        except (metadata.PackageNotFoundError, ValueError):
            continue  # a tool of another environment: its version is among the tools
        if distribution.version == version:
            found.append(Wheel(name=name, version=version, record_sha256=_digest(distribution.files or ())))
    return tuple(found)


def _digest(paths: Iterable[metadata.PackagePath]) -> str:
    """sha256 over the sorted lines `path,hash` of the wheel's own files: the same on every machine that installed the same wheel.

    What the installer adds is left out: compiled files, start scripts (outside site-packages), its own notes.
    The hashes are those of RECORD (PEP 376); the files themselves are not read again.
    """
    own = [path for path in paths if path.hash and ".." not in path.parts and path.suffix != ".pyc" and path.name not in _INSTALLERS]
    lines = sorted(f"{path.as_posix()},{path.hash.mode}={path.hash.value}\n" for path in own if path.hash)
    return hashlib.sha256("".join(lines).encode()).hexdigest() if lines else ""
