"""A WebGPU device without a GPU: Mesa's software driver for Vulkan, unpacked next to the stand-in models, made once a machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support.standin import CACHE

_SCRIPT = Path(__file__).with_suffix(".sh")
_FOLDER = CACHE / "lavapipe-25.0.7"
_DEBIAN = Path("/etc/debian_version")
IS_HAD = _DEBIAN.is_file() and _DEBIAN.read_text(encoding="ascii").startswith("12") and shutil.which("apt-get") is not None
needs_lavapipe = pytest.mark.skipif(not IS_HAD, reason="only Debian 12 has the packages that the driver is out of")


def environment() -> dict[str, str]:
    """What a process needs to find the device, and to be let have it though it is software."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{_FOLDER}.lock"):
        if not _FOLDER.is_dir():
            subprocess.run(["bash", _SCRIPT, _FOLDER], check=True)
    return {"VK_DRIVER_FILES": str(_FOLDER / "lavapipe.json"), "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER": "1"}
