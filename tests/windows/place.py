"""Where Windows Python lies and what it is made with: a folder of the cache of stand-ins, named after the bytes that make it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
LIGHT, FULL = HERE / "light.txt", HERE / "full.txt"
_CACHE = Path(os.environ.get("BAKEHOUSE_TEST_CACHE", Path.home() / ".cache/bakehouse-tests"))
_MADE_OF = ("setup.sh", "tools.txt", "wine.env", "processprng.c", "light.txt")


def wine_is_here() -> bool:
    """Whether Wine's commands are installed."""
    return all(shutil.which(name) for name in ("wine", "wineserver"))


def light() -> Path:
    """The folder with python.exe, its prefix of Wine and what the light suite imports; made if it is not there yet (0.9 GB)."""
    return _made("windows", _MADE_OF, ("python",))


def full() -> Path:
    """The folder of packages with the converters and runtimes; made if it is not there yet (1.6 GB)."""
    return _made("windows-full", ("setup.sh", "full.txt"), ("packages",))


def amx() -> Path | None:
    """The library that asks for AMX before Wine starts; None on a processor without it."""
    if "amx_tile" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        return None
    return _made("windows-amx", ("amx.sh", "amx.c", "tools.txt"), ()) / "amx.so"


def _made(name: str, made_of: tuple[str, ...], words: tuple[str, ...]) -> Path:
    """What the first file makes, once a machine: whole or absent, as it makes it next to its place and renames it."""
    digest = hashlib.sha256(b"\0".join((HERE / one).read_bytes() for one in made_of)).hexdigest()
    folder = _CACHE / f"{name}-{digest[:16]}"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            subprocess.run(["bash", HERE / made_of[0], *words, folder, sys.executable], check=True, stdin=subprocess.DEVNULL)
    return folder


def settings() -> dict[str, str]:
    """The variables of wine.env, which setup.sh reads too."""
    lines = (line.partition("=") for line in (HERE / "wine.env").read_text(encoding="utf-8").splitlines() if "=" in line)
    return {name: value.strip('"') for name, _, value in lines if not name.startswith("#")}
