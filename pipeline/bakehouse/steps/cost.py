"""What a step will take, and which versions of the tools it names are installed."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import metadata


@dataclass(frozen=True)
class Estimate:
    """What a step will take, from shapes alone.

    Attributes:
        disk_bytes: what its directory will hold.
        memory_bytes: what its hungriest child holds resident.
        mapped_bytes: how much of that are mapped files: the system may drop it, and has it once for all who map them.
        scratch_bytes: what its temporary files hold, which are gone when it ends.
    """

    disk_bytes: int
    memory_bytes: int
    mapped_bytes: int = 0
    scratch_bytes: int = 0

    @property
    def own_bytes(self) -> int:
        """What its hungriest child holds and the system cannot drop; steps side by side need room for that of all."""
        return self.memory_bytes - self.mapped_bytes


def installed(*names: str) -> dict[str, str]:
    """Version of each installed distribution; those that are not installed have none."""
    found = {name: _version(name, tuple(sys.path)) for name in names}
    return {name: version for name, version in found.items() if version is not None}


def not_installed(names: Iterable[str]) -> str | None:
    """Which of these distributions of the extra `build` are not installed and what to do, in a few words; None if all are."""
    absent = [name for name in names if name not in installed(name)]
    return f"{', '.join(absent)} not installed: install Bakehouse with its extra `build`" if absent else None


@cache
def _version(name: str, search_path: tuple[str, ...]) -> str | None:
    """Each step of each build asks again, and reading one wheel's metadata takes a millisecond; None if it is not on the search path."""
    distribution = next(iter(metadata.distributions(name=name, path=list(search_path))), None)
    return distribution.version if distribution else None
