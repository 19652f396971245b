"""Hosts of one machine: network namespaces on a bridge, each with an address, a name, memory and programs of its own. Linux, as root."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

_PREFIX = "bakehouse-"
_SWITCH = f"{_PREFIX}switch"
_LOCK = Path("/run/bakehouse-hosts.lock")
_END_S = 10.0


@dataclass(frozen=True)
class Host:
    """A host.

    Attributes:
        name: its hostname, and the name of its port of the bridge.
        address: its IPv4 address.
        memory_bytes: what its control group is limited to, as a container sees it; None for all of the machine's.
        lacks: programs of the machine that are not installed there.
    """

    name: str
    address: str
    memory_bytes: int | None = None
    lacks: tuple[str, ...] = ()

    @property
    def namespace(self) -> str:
        return f"{_PREFIX}{self.name}"

    def argv(self, argv: Iterable[str]) -> tuple[str, ...]:
        """What runs a program there."""
        lines = [f"hostname {self.name}"]
        if self.memory_bytes is not None:
            lines += ["mount -t tmpfs none /sys/fs/cgroup", f"echo {self.memory_bytes} > /sys/fs/cgroup/memory.max"]
        lines += [f"mount --bind /dev/null {shlex.quote(found)}" for name in self.lacks if (found := shutil.which(name))]
        entered = ("nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "--mount", "--uts")
        return (*entered, "sh", "-e", "-c", "\n".join((*lines, 'exec "$@"')), "sh", *argv)

    def start(self, argv: Iterable[str], folder: Path, env: Mapping[str, str]) -> psutil.Popen:
        """Start a program there, with `folder` as its working directory; what it prints goes to `folder`/out.txt."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "out.txt").open("ab") as out:
            return psutil.Popen(
                self.argv(argv), cwd=folder, env=dict(env), stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def pids(self) -> list[int]:
        """The processes there."""
        return [int(word) for word in _run("ip", "netns", "pids", self.namespace).split()]

    def end_all(self) -> None:
        """End all processes there, by force if they do not end by themselves."""
        for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGKILL):
            until = time.monotonic() + _END_S * (number != signal.SIGCONT)
            for pid in self.pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            while self.pids() and time.monotonic() < until:
                time.sleep(0.1)

    @contextmanager
    def unplugged(self) -> Iterator[None]:
        """Nothing comes from there or goes there, until the block ends."""
        _run("ip", "-n", _SWITCH, "link", "set", "dev", self.name, "down")
        try:
            yield
        finally:
            _run("ip", "-n", _SWITCH, "link", "set", "dev", self.name, "up")


@dataclass(frozen=True)
class Traffic:
    """Bytes that a host has sent and received, with the headers of all packets."""

    sent: int
    received: int

    def since(self, earlier: Traffic) -> Traffic:
        return Traffic(self.sent - earlier.sent, self.received - earlier.received)


def traffic() -> dict[str, Traffic]:
    """What each host has sent and received so far, as its port of the bridge counts it."""
    links = json.loads(_run("ip", "-n", _SWITCH, "-j", "-s", "link", "show", "type", "veth"))
    return {link["ifname"]: Traffic(link["stats64"]["rx"]["bytes"], link["stats64"]["tx"]["bytes"]) for link in links}


@contextmanager
def network(hosts: Iterable[Host]) -> Iterator[None]:
    """These hosts on one bridge. All of their processes end with the block, and nothing of them stays.

    Raises:
        RuntimeError: this machine cannot have them, or another run has.
    """
    hosts = tuple(hosts)
    if os.geteuid() != 0 or not all(shutil.which(name) for name in ("ip", "nsenter", "unshare")):
        raise RuntimeError("network namespaces need Linux, root, iproute2 and util-linux")
    lock = FileLock(_LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RuntimeError("another run of this has the hosts") from None
    try:
        _remove()  # what a run left that was killed
        _make(hosts)
        yield
    finally:
        _remove()
        lock.release()


def _make(hosts: Iterable[Host]) -> None:
    _run("ip", "netns", "add", _SWITCH)
    _run("ip", "-n", _SWITCH, "link", "add", "bridge", "type", "bridge")
    _run("ip", "-n", _SWITCH, "link", "set", "bridge", "up")
    for host in hosts:
        _run("ip", "netns", "add", host.namespace)
        _run("ip", "link", "add", "name", host.name, "netns", _SWITCH, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
        _run("ip", "-n", _SWITCH, "link", "set", "dev", host.name, "master", "bridge", "up")
        _run("ip", "-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _run("ip", "-n", host.namespace, "link", "set", device, "up")


def _remove() -> None:
    there = [line.split()[0] for line in _run("ip", "netns", "list").splitlines() if line.startswith(_PREFIX)]
    for name in there:
        Host(name.removeprefix(_PREFIX), "").end_all()
    for name in there:
        _run("ip", "netns", "delete", name)


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout
