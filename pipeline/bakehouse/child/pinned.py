"""Has pip install wheels, or download sources, that a lock pins by hash; nothing else is let in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bakehouse.child import events, wheel_file
from bakehouse.records import Distribution


def install(site: Path, lock: Path) -> list[Distribution]:
    """Install the wheels of `lock` into `site`; what they are, by pip's own report (installation report, version 1).

    Their sha256 is that of the file on the package index.
    """
    report = Path.cwd() / "installed.json"
    doing = "installing the pinned wheels"
    pip(doing, "install", "--only-binary=:all:", "--no-compile", "--target", str(site), "--report", str(report), "-r", str(lock))
    shutil.rmtree(site / "bin", ignore_errors=True)
    return [
        Distribution(
            name=one["metadata"]["name"].lower(),
            version=one["metadata"]["version"],
            sha256=one["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for one in json.loads(report.read_text(encoding="utf-8"))["install"]
    ]


def pip(doing: str, verb: str, *arguments: str) -> None:
    """Run pip in a process that ends with this one; only files whose hash is in a lock are let in."""
    events.progress(doing)
    command = (verb, "--no-deps", "--require-hashes", "--no-input", "--progress-bar=off", "--quiet", *arguments)
    env = {**os.environ, "BAKEHOUSE_PARENT": str(os.getpid()), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        (sys.executable, "-c", wheel_file.LEASHED_PIP, *command),
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return
    lines = [line for line in done.stderr.splitlines() if line.strip()][-8:]
    if wheel_file.NETWORK.search(done.stderr):
        remedy = "Check the network, and pip's settings for an index or a proxy (`pip config list`), and run the same command again."
        events.refuse("pip could not reach the package index.", remedy, lines)
    if "DO NOT MATCH THE HASHES" in done.stderr:
        events.refuse("The package index gave a file other than the pinned one.", "Find out who changed it before you go on.", lines)
    events.refuse(f"pip {verb} failed.", "Read what pip says.", lines)
