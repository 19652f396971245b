"""Runs a Windows program under Wine: no display, no network, a prefix of its own, a time limit, memory watched, and nothing left behind.

Wine's services outlive both the program and a wineserver that was killed. So a guardian, a process and a session of its own, starts
all of it and is the one that orphans fall to (PR_SET_CHILD_SUBREAPER). When the process that started it is gone, be it by SIGKILL,
the pipe between them ends, and the guardian ends everything and then itself. What it holds in the foreground, program and
wineserver, would die with it too (PR_SET_PDEATHSIG); the wineserver that Wine would start itself is a daemon. When the guardian is
killed, its orphans fall to the process that started it, and are ended there.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from bakehouse.child import crash, events

TIMEOUT_S = 3 * 3600.0
LEAST_FREE_BYTES = 200_000_000  # below that the system would soon kill a process of its own choice
LEAST_FREE_DISK_BYTES = 64_000_000  # a program that failed with less had most likely no room to write
_DONE = "wine.json"
_DRIVE = "p:"
_LOOKS_EVERY_S = 0.2
_REPORTS_EVERY_S = 2.0
_SERVER_STARTS_WITHIN_S = 30.0

# linux/prctl.h, linux/seccomp.h, linux/audit.h, asm/unistd_64.h
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _PR_SET_CHILD_SUBREAPER = 1, 38, 22, 36
_SECCOMP_MODE_FILTER, _AUDIT_ARCH_X86_64, _SOCKET, _AF_UNIX, _X32 = 2, 0xC000003E, 41, 1, 0x40000000
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 13  # EACCES


def run(program: Path, words: Sequence[str], folder: Path, doing: str, timeout_s: float = TIMEOUT_S) -> tuple[int, str]:
    """Run `program` in `folder` to its end; its exit code and output. Wine's prefix is made in `folder`, and goes again.

    The words may be names in `folder` and KEY=VALUE: neither spaces nor paths, which Windows would spell otherwise.
    Ends with a refusal if it takes too long, or more memory or disk than the machine has.
    """
    _take_orphans()
    argv = (sys.executable, "-m", "bakehouse.backends.openvino_npu.workers.wine", str(folder), doing, str(timeout_s), str(program), *words)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True) as guardian:
        code = guardian.wait()
    if code != 0:
        _end_all()
    if code < 0:
        name = signal.Signals(-code).name
        events.refuse(f"{doing}: the process that watches over Wine died of {name}, and all of Wine was ended.", "Run it again.")
    if code > 0:
        raise SystemExit(code)  # it has reported why
    done = folder / _DONE
    returned, text = json.loads(done.read_text(encoding="utf-8"))
    done.unlink()
    return returned, text


def main() -> None:
    """The guardian: `FOLDER DOING TIMEOUT_S PROGRAM WORDS...`; ends all of Wine when its standard input ends."""
    crash.install()
    folder, doing, timeout_s, program, *words = sys.argv[1:]
    _take_orphans()
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    result = _run(Path(program), words, Path(folder), doing, float(timeout_s))
    (Path(folder) / _DONE).write_text(json.dumps(result), encoding="utf-8", newline="\n")


def _take_orphans() -> None:
    _check(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def _end_with_the_starter() -> None:
    while os.read(0, 4096):
        pass
    _end_all()
    os._exit(1)


def _run(program: Path, words: Sequence[str], folder: Path, doing: str, timeout_s: float) -> tuple[int, str]:
    log = folder / "wine.log"
    with _server(folder, program.parent) as (wine, server, environment), log.open("wb") as output:
        child = subprocess.Popen(
            (wine, f"{_DRIVE}\\{program.name}", *words),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_hold,
        )
        _watch(child, server, doing, timeout_s)
        if child.returncode != 0 and (free := shutil.disk_usage(folder).free) < LEAST_FREE_DISK_BYTES:
            events.refuse(f"{doing}: No space left on device, {free / 1e6:.0f} MB are free.", "Free space, and run it again.")
    text = log.read_text(encoding="utf-8", errors="replace")
    log.unlink()
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        events.refuse(f"{program.name} died of {name} under Wine", "If it was SIGKILL, the system most likely lacked memory.", lines(text))
    return child.returncode, text


def lines(text: str) -> list[str]:
    """What a program wrote, without Wine's own remarks."""
    return [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("wine: ")][-15:]


@contextmanager
def _server(folder: Path, programs: Path) -> Iterator[tuple[str, subprocess.Popen[bytes], dict[str, str]]]:
    """A wineserver in the foreground, and at the end an end to everything that came of it."""
    wine, server = (shutil.which(name) for name in ("wine", "wineserver"))
    if wine is None or server is None:
        events.refuse("Wine is not installed.", "Install it, on Debian and Ubuntu with `apt-get install wine wine64`.")
    prefix, home = folder / "prefix", folder / "home"  # the home holds temporary files too
    for made in (prefix, home):
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
    _make_drives(prefix, programs)
    environment = _environment(prefix, home)
    nowhere = subprocess.DEVNULL  # a pipe that Wine's services held open would seem to be still at work
    running = subprocess.Popen((server, "-f", "-p"), env=environment, preexec_fn=_hold, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    try:
        _wait_for(running)
        yield wine, running, environment
    finally:
        _end(running)
        shutil.rmtree(prefix, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def _make_drives(prefix: Path, programs: Path) -> None:
    """Wine's own two, and one for the program: what it opens next to itself then has a path of plain letters, wherever it lies."""
    drives = prefix / "dosdevices"
    drives.mkdir()
    (prefix / "drive_c").mkdir()
    for name, target in (("c:", "../drive_c"), ("z:", "/"), (_DRIVE, str(programs.resolve()))):
        (drives / name).symlink_to(target)


def _environment(prefix: Path, home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home),
        "LC_ALL": "C.UTF-8",
        "WINEPREFIX": str(prefix),
        "WINEARCH": "win64",
        "WINEDEBUG": "-all",
        # No .NET, no browser, no menu entries, and no debugger that waits for someone.
        "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe,winedbg.exe=",
    }


def _wait_for(server: subprocess.Popen[bytes]) -> None:
    """Until it listens: its working directory is then the one that holds its socket. Wine would else start a daemon."""
    until = time.monotonic() + _SERVER_STARTS_WITHIN_S
    while server.poll() is None and time.monotonic() < until:
        if Path(f"/proc/{server.pid}/cwd/socket").exists():
            return
        time.sleep(0.02)
    events.refuse("Wine's server does not start.", "Try `wineserver -f -d` by hand; it says why.", [f"exit code: {server.poll()}"])


def _watch(child: subprocess.Popen[bytes], server: subprocess.Popen[bytes], doing: str, timeout_s: float) -> None:
    """Wait for its end, report how much memory it holds, and stop it before the system would have to."""
    started = reported = time.monotonic()
    events.progress(doing)
    while child.poll() is None:
        now = time.monotonic()
        if now - started > timeout_s:
            _stop(child)
            events.refuse(f"{doing}: not done after {timeout_s:.0f} s, and stopped.", "Try it on a faster machine.")
        if server.poll() is not None:
            _stop(child)
            events.refuse(f"{doing}: Wine's server ended, code {server.returncode}.", "Run it again.")
        memory = psutil.virtual_memory()
        if memory.available + psutil.swap_memory().free < LEAST_FREE_BYTES:
            held = _resident(child)
            _stop(child)
            events.refuse(
                f"{doing}: stopped with {held / 1e9:.1f} GB held, because memory was running out.",
                "Close other programs, run without -n, or use a machine with more memory.",
            )
        if now - reported > _REPORTS_EVERY_S:
            reported = now
            events.progress(f"{doing}, memory held", _resident(child), None, "B")
        time.sleep(_LOOKS_EVERY_S)


def _resident(child: subprocess.Popen[bytes]) -> int:
    try:
        return int(psutil.Process(child.pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server, which ends its clients, and then whatever is left of them."""
    server.terminate()
    try:
        server.wait(5)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    _end_all()


def _end_all() -> None:
    """Kill every descendant; an orphan becomes a child, so that none is left in the end."""
    while left := psutil.Process().children(recursive=True):
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, timeout=5)


def _hold() -> None:
    """In the child, before it becomes Wine: die with the parent, and get no socket but those within this machine."""
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    program = _no_network()
    steps = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: number of steps, padding, their address
    rule = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(steps)))
    _check(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, rule, 0, 0))


def _no_network() -> bytes:
    """A filter of system calls (seccomp(2), as BPF): socket() gives AF_UNIX only, and no other way of calling the kernel is open."""

    def step(code: int, jump_true: int, jump_false: int, value: int) -> bytes:
        return struct.pack("HBBI", code, jump_true, jump_false, value)

    load, equal, at_least, end = 0x20, 0x15, 0x35, 0x06
    return b"".join(
        (
            step(load, 0, 0, 4),  # seccomp_data.arch
            step(equal, 0, 6, _AUDIT_ARCH_X86_64),
            step(load, 0, 0, 0),  # seccomp_data.nr
            step(at_least, 4, 0, _X32),
            step(equal, 0, 2, _SOCKET),
            step(load, 0, 0, 16),  # seccomp_data.args[0]
            step(equal, 0, 1, _AF_UNIX),
            step(end, 0, 0, _ALLOW),
            step(end, 0, 0, _REFUSE),
        )
    )


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main()
