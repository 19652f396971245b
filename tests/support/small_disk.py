"""A disk of a few megabytes, for tests that fill it: a tmpfs in a mount namespace of its own, which needs no rights on the machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.bench import ROOT, Bench


@dataclass(frozen=True)
class SmallDisk:
    """The disk that a process in the namespace of `holder` sees at `at`; seen from here it lies below `seen`."""

    holder: int
    at: Path

    @property
    def seen(self) -> Path:
        return Path(f"/proc/{self.holder}/root{self.at}")

    @property
    def prefix(self) -> tuple[str, ...]:
        """What runs a command where the disk is."""
        enter = shutil.which("nsenter")
        assert enter
        there = f'cd "{ROOT}" && exec "$@"'  # whoever enters stands at the root
        return (enter, "--target", str(self.holder), "--user", "--mount", "--preserve-credentials", "sh", "-c", there, "sh")

    def fill(self) -> None:
        """Leave no byte free."""
        with (self.seen / "filler").open("ab", buffering=0) as file:
            for block in (1 << 20, 4096, 1):
                try:
                    while file.write(bytes(block)) == block:
                        pass
                except OSError:
                    continue

    def empty(self) -> None:
        """Take the filling away."""
        (self.seen / "filler").unlink()


@contextmanager
def mounted(at: Path, size_mb: float) -> Iterator[SmallDisk]:
    """A disk of that size at `at`, for as long as the body runs; skips the test where none can be made."""
    at.mkdir(parents=True, exist_ok=True)
    script = f"mount -t tmpfs -o size={round(size_mb * 1024)}k tmpfs '{at}' && echo ready && exec cat"
    argv = ("unshare", "--map-root-user", "--mount", "sh", "-c", script)
    if sys.platform != "linux" or not shutil.which("unshare"):
        pytest.skip("a small disk needs Linux with unshare")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as holder:
        assert holder.stdin and holder.stdout and holder.stderr
        if holder.stdout.readline() != "ready\n":
            pytest.skip(f"no small disk can be made here: {holder.stderr.read().strip()}")
        try:
            yield SmallDisk(holder.pid, at)
        finally:
            holder.stdin.close()


def on(disk: SmallDisk, bench: Bench) -> Bench:
    """The bench with doit running where the disk is its artifacts folder."""
    assert bench.artifacts == disk.at
    return Bench(bench.folder, bench.env, disk.prefix, disk.seen)
