"""Time, peak memory and peak disk of a whole command, and a table of two sides with their ratios."""

from __future__ import annotations

import os
import statistics
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Measured:
    """One run: wall seconds, peak resident bytes of the hungriest process and of all together, peak bytes of watched folders."""

    seconds: float
    peak_process_bytes: int
    peak_sum_bytes: int
    peak_disk_bytes: int


def run(argv: Sequence[str], *, watch: Iterable[Path], env: Mapping[str, str], log: Path, cwd: Path) -> Measured:
    """Run a command to its end; RuntimeError with the log's path if it fails. Memory and disk are looked at every 0.2 s."""
    watch = tuple(watch)
    peaks = {"process": 0, "sum": 0, "disk": 0}
    done = threading.Event()
    started = time.monotonic()
    with log.open("wb") as file:
        process = psutil.Popen(list(argv), stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **env}, cwd=cwd)
        watcher = threading.Thread(target=_watch, args=(process, watch, peaks, done))
        watcher.start()
        code = process.wait()
    seconds = time.monotonic() - started
    done.set()
    watcher.join()
    if code != 0:
        raise RuntimeError(f"{argv} ended with {code}: {log.read_text()[-3000:]}")
    return Measured(seconds, peaks["process"], peaks["sum"], max(peaks["disk"], sum(_disk_bytes(folder) for folder in watch)))


def _watch(process: psutil.Popen, watch: tuple[Path, ...], peaks: dict[str, int], done: threading.Event) -> None:
    while not done.wait(0.2):
        sizes = []
        try:
            family = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for one in family:
            try:
                sizes.append(one.memory_info().rss)
            except psutil.NoSuchProcess:
                continue
        peaks["process"] = max(peaks["process"], *sizes, 0)
        peaks["sum"] = max(peaks["sum"], sum(sizes))
        peaks["disk"] = max(peaks["disk"], sum(_disk_bytes(folder) for folder in watch))


def _disk_bytes(folder: Path) -> int:
    """Bytes allocated below a folder, each inode once."""
    seen: dict[int, int] = {}
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                status = (Path(base) / name).lstat()
            except FileNotFoundError:
                continue
            seen[status.st_ino] = status.st_blocks * 512
    return sum(seen.values())


def median(runs: Sequence[Measured]) -> Measured:
    """The median of every figure."""
    return Measured(
        statistics.median(one.seconds for one in runs),
        int(statistics.median(one.peak_process_bytes for one in runs)),
        int(statistics.median(one.peak_sum_bytes for one in runs)),
        int(statistics.median(one.peak_disk_bytes for one in runs)),
    )
