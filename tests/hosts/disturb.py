"""What happens to the hosts while a build runs: a link is cut, a worker is killed, the store stops answering."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

from tests.hosts.network import Host
from tests.hosts.site import LARGE, MIDDLE, STORE, Site
from tests.support.cluster import is_worker

_CUT_S, _PAUSE_S = 20.0, 60.0


def all_of_it(site: Site, say: Callable[[str], None], over: threading.Event) -> None:
    """One after the other, each in the middle of a step; `over` is set when the build has ended.

    Raises:
        RuntimeError: it ended before all had happened.
    """
    begun = time.monotonic()

    def note(text: str) -> None:
        say(f"  after {time.monotonic() - begun:.0f} s: {text}")

    doing = _wait_for_work(MIDDLE, over)
    note(f"the link of {MIDDLE.name} is cut for {_CUT_S:.0f} s while it runs {doing}")
    with MIDDLE.unplugged():
        time.sleep(_CUT_S)
    doing = _wait_for_work(LARGE, over)
    note(f"the worker of {LARGE.name} is killed while it runs {doing}")
    _worker(site.processes[LARGE.name]).kill()
    time.sleep(10)
    doing = _wait_for_work(MIDDLE, over)
    note(f"the store stops for {_PAUSE_S:.0f} s while {MIDDLE.name} runs {doing}")
    with _stopped(STORE):
        time.sleep(_PAUSE_S)


def _wait_for_work(host: Host, over: threading.Event) -> str:
    """Wait until a host makes something, and does not only talk to the store; which program it is."""
    while not over.wait(0.1):
        for pid in host.pids():
            with suppress(psutil.Error):
                words = psutil.Process(pid).cmdline()
                found = next((word for word in words if ".workers." in word and not word.startswith("bakehouse.executor.")), None)
                if found:
                    return found
    raise RuntimeError(f"the build ended before {host.name} made something that could be disturbed")


def _worker(nanny: psutil.Process) -> psutil.Process:
    """The process that works, below the nanny that starts it again; `nanny` or what it was started with may stand above it."""
    found = next(filter(is_worker, nanny.children(recursive=True)), None)
    if found is None:
        raise RuntimeError(f"no process of {nanny.pid} works")
    return found


@contextmanager
def _stopped(host: Host) -> Iterator[None]:
    """All processes of a host are stopped, until the block ends: who connects is not refused, and gets no answer."""
    _signal(host, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(host, signal.SIGCONT)


def _signal(host: Host, number: signal.Signals) -> None:
    for pid in host.pids():
        with suppress(ProcessLookupError):
            os.kill(pid, number)
