"""Installs a toolchain: the pinned wheels, unpacked into a folder that comes before the installed ones."""

from __future__ import annotations

from bakehouse.child import pinned, start
from bakehouse.toolchains.seams import SetupRequest, SetupResult


def run(request: SetupRequest) -> SetupResult:
    """Fill the folder."""
    return SetupResult(packages=tuple(pinned.install(request.files, request.lock)))


if __name__ == "__main__":
    start.run(run, SetupRequest, online=True)
