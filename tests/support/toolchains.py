"""The wheels of a toolchain, installed once and kept with the stand-ins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from bakehouse.store.files import sha256
from bakehouse.toolchains.table import TOOLCHAINS, Name
from tests.support.standin import CACHE


def installed_toolchain(name: Name) -> Path | None:
    """The folder with a toolchain's wheels; None for the one that is installed anyway."""
    toolchain = TOOLCHAINS[name]
    if not toolchain.versions:
        return None
    folder = CACHE / "toolchains" / f"{name}-{sha256(toolchain.lock)[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            fresh = folder.with_suffix(".fresh")
            words = ("install", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:", "--target", str(fresh))
            subprocess.run([sys.executable, "-m", "pip", *words, "-r", str(toolchain.lock)], check=True)
            fresh.rename(folder)
    return folder
