"""Print what `pip install .` would install on Windows, one pinned requirement a line: pip itself takes markers for the system it runs on.

    .venv/bin/python tests/windows/requirements.py [EXTRA ...]

Versions are those of this environment; what only Windows takes has none here, and is printed without one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_WINDOWS = {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64", "python_version": "3.11"}


def closure(root: str, extras: frozenset[str]) -> Iterator[str]:
    """The requirements of an installed distribution on Windows, and theirs, each once."""
    seen: set[tuple[str, str]] = set()
    environment = {**default_environment(), **_WINDOWS}

    def walk(name: str, extras: frozenset[str]) -> Iterator[str]:
        for line in metadata.distribution(name).requires or ():
            required = Requirement(line)
            wanted = any(required.marker is None or required.marker.evaluate({**environment, "extra": one}) for one in ("", *extras))
            pairs = {(canonicalize_name(required.name), one) for one in ("", *required.extras)}
            if not wanted or pairs <= seen:
                continue
            known = (canonicalize_name(required.name), "") in seen
            seen.update(pairs)
            try:
                version = metadata.version(required.name).partition("+")[0]
            except metadata.PackageNotFoundError:
                yield required.name
                continue
            if not known and canonicalize_name(required.name) != root:
                yield f"{required.name}=={version}"
            yield from walk(required.name, frozenset(required.extras))

    return walk(root, extras)


if __name__ == "__main__":
    print("\n".join(sorted({*closure("bakehouse", frozenset(sys.argv[1:])), f"pip=={metadata.version('pip')}"}, key=str.lower)))
