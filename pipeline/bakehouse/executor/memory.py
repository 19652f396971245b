"""How much memory this machine has. psutil is imported where one of these is first called: most commands need none of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def total_bytes() -> int:
    """Memory of the machine, without its swap."""
    import psutil

    return int(psutil.virtual_memory().total)


def available_bytes() -> int:
    """Memory that could be had now."""
    import psutil

    return int(psutil.virtual_memory().available)


def swap_bytes(read: Callable[[], Any] | None = None) -> int:
    """Size of the swap; 0 where it cannot be read, as on a Windows whose performance counters are off (psutil 7.2)."""
    import psutil

    try:
        return int((read or psutil.swap_memory)().total)
    except (OSError, RuntimeError):
        return 0


def usable_bytes(cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Memory that this process may use in all: the machine's with its swap, or what its container is limited to if that is less."""
    machine = total_bytes() + swap_bytes()
    # as a container sees its own group, in version 2 and in version 1; "max" is no limit
    limits = (cgroups / name for name in ("memory.max", "memory/memory.limit_in_bytes"))
    written = [limit.read_text(encoding="ascii").strip() for limit in limits if limit.is_file()]
    return min([machine, *(int(text) for text in written if text != "max")])
