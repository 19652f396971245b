"""A program of Windows Python as a process of ours: its environment, and its end with all that it has started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
from filelock import FileLock

from tests.windows.place import ROOT, amx, full, light, settings

_MARK = "BAKEHOUSE_WINDOWS_RUN"  # every process of one run carries its name: under Wine a child's parent is not the one that started it


@dataclass(frozen=True)
class Windows:
    """Windows Python, with the folder for what its programs write below their %TEMP%."""

    python: Path
    prefix: Path
    packages: tuple[Path, ...]
    scratch: Path
    preloaded: Path | None = None  # a library of Linux that each program loads before Wine

    def environment(self, **more: str) -> dict[str, str]:
        """What a program is given: nothing of this system's Python, and no display."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SSL_CERT_FILE") if name in os.environ}
        path = ";".join(as_windows(folder) for folder in (ROOT / "pipeline", *self.packages))
        temporary = dict.fromkeys(("TEMP", "TMP"), as_windows(self.scratch))
        ours = {"PYTHONPATH": path, "PYTHONPYCACHEPREFIX": as_windows(self.prefix.parent / "pycache"), "PYTHONUTF8": "1"}
        preloaded = {"LD_PRELOAD": str(self.preloaded)} if self.preloaded else {}
        return {**kept, **settings(), "WINEPREFIX": str(self.prefix), **temporary, **ours, **preloaded, **more}


@dataclass(frozen=True)
class Done:
    """How a program ended: `code` is None if its time was up."""

    code: int | None
    text: str
    seconds: float


def as_windows(path: Path) -> str:
    """How Windows names a path of this system: all of it is drive Z:."""
    return "Z:" + str(path.absolute()).replace("/", "\\")


@contextmanager
def started(*, whole: bool) -> Iterator[Windows]:
    """Wine's services on a prefix of our own, until the end of the block; `whole` has the converters and runtimes too."""
    made, packages, preloaded = light(), (full(),) if whole else (), amx() if whole else None
    with FileLock(made.parent / f"{made.name}.used"):  # the end of one run ends all of Wine on this prefix
        yield from _served(made, packages, preloaded)


def _served(made: Path, packages: tuple[Path, ...], preloaded: Path | None) -> Iterator[Windows]:
    scratch = Path(tempfile.mkdtemp(prefix="bakehouse-windows-"))
    _install_bakehouse(scratch / "installed")
    windows = Windows(made / "python" / "python.exe", made / "prefix", (scratch / "installed", *packages), scratch, preloaded)
    environment = windows.environment()
    # Whoever starts them first has its pipes held open by them, so they are started with none.
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["wineserver", "-p"], env=environment, start_new_session=True, timeout=60, check=True, **quiet)
    try:
        subprocess.run(["wine", "cmd", "/c", "exit"], env=environment, start_new_session=True, timeout=120, check=True, **quiet)
        yield windows
    finally:
        subprocess.run(["wineserver", "-k"], env=environment, timeout=60, check=False, **quiet)
        shutil.rmtree(scratch, ignore_errors=True)


def _install_bakehouse(folder: Path) -> None:
    """What an installation leaves of the distribution next to its code, which stays where it is: name, version, requirements."""
    ours = metadata.distribution("bakehouse")
    info = folder / f"bakehouse-{ours.version}.dist-info"
    info.mkdir(parents=True)
    for name in ("METADATA", "entry_points.txt"):
        (info / name).write_text(ours.read_text(name) or "", encoding="utf-8")


@contextmanager
def running(
    windows: Windows, words: Sequence[str], env: Mapping[str, str], cwd: Path = ROOT, name: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """Windows Python with these words; what is left of it at the end of the block is killed."""
    name = name or uuid.uuid4().hex
    # Standard streams are pipes or nothing: a file gives "init_sys_streams: WinError 6".
    with subprocess.Popen(
        ["wine", str(windows.python), *words],
        cwd=cwd,
        env={**windows.environment(**env), _MARK: name},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            kill_all(name)


def run(windows: Windows, *words: str, timeout_s: float, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> Done:
    """Run Windows Python with these words to its end, or until its time is up."""
    begun = time.monotonic()
    code: int | None = None
    name = uuid.uuid4().hex
    with running(windows, words, env or {}, cwd, name) as process, ThreadPoolExecutor(1) as pool:
        assert process.stdout
        text = pool.submit(process.stdout.read)
        with suppress(subprocess.TimeoutExpired):  # not the end of its output: what it left running may hold that open
            code = process.wait(timeout_s)
        seconds = time.monotonic() - begun
        kill_all(name)
    return Done(code, text.result().decode(errors="replace").replace("\r\n", "\n"), seconds)


def kill_all(name: str) -> None:
    """Kill every process of a run, until there is none."""
    deadline = time.monotonic() + 10
    while (left := _carrying(name)) and time.monotonic() < deadline:
        for process in left:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        time.sleep(0.1)


def _carrying(name: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(_MARK) == name and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
