"""The processes of a cluster: a scheduler, and workers that outlive it. They run until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from bakehouse.cluster import connection
from bakehouse.errors import Failure

Say = Callable[[str], None]

_AGAIN_S = 5.0
# Each worker that is lost counts against all steps that wait there, so more than Dask's 3: only what kills again and again is given up.
_LOST_WORKERS = 10
_CONFIG = {
    # Dask would have every child compute in one thread, which is slower and may give other bytes.
    "distributed.nanny.pre-spawn-environ": {},
    "distributed.scheduler.worker-ttl": "2 minutes",
    "distributed.comm.timeouts.connect": "10s",
}


@dataclass(frozen=True)
class Workers:
    """Workers of this machine: of which scheduler, how many, what they are called, and what each has."""

    address: str
    count: int
    name: str
    has: Mapping[str, float]


# Read when distributed is first imported, here and by the workers' own processes. What a person can act on is said in our own words.
os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")


def scheduler(host: str, port: int, say: Say) -> None:
    """Run a scheduler; with TLS, unless only this machine reaches it and there are no certificates."""
    asyncio.run(_run_scheduler(host, port, None, say))


def workers(wanted: Workers, say: Say) -> None:
    """Run workers; when their scheduler goes, they wait for it to come back."""
    asyncio.run(_run_workers(wanted, say))


def local(port: int, wanted: Callable[[str], Workers], say: Say) -> None:
    """Run a scheduler and its workers on this machine."""
    asyncio.run(_run_scheduler("127.0.0.1", port, wanted, say))


async def _run_scheduler(host: str, port: int, wanted: Callable[[str], Workers] | None, say: Say) -> None:
    import dask
    from distributed import Scheduler

    scheme = "tcp" if connection.is_loopback(host) and not connection.has_certificates() else "tls"
    dask.config.set(_CONFIG)
    stop = _stopped()
    made = Scheduler(
        host=host,
        port=port,
        protocol=scheme,
        security=connection.security(scheme) or {},
        allowed_failures=_LOST_WORKERS,
        dashboard=find_spec("bokeh") is not None,
        dashboard_address="127.0.0.1:8787" if find_spec("bokeh") else "127.0.0.1:0",
    )
    try:
        await made
    except OSError as error:
        raise Failure(f"no scheduler can listen at {host}:{port}: {error.strerror or error}", remedy="choose another --port") from error
    async with made:
        say(f"scheduler at {made.address}; Ctrl-C stops it")
        if wanted:
            await _keep_workers(wanted(made.address), stop, say)
        await stop.wait()


async def _run_workers(wanted: Workers, say: Say) -> None:
    import dask

    dask.config.set(_CONFIG)
    stop = _stopped()
    while not stop.is_set():
        try:
            await _keep_workers(wanted, stop, say)
        except (OSError, RuntimeError) as error:  # distributed wraps what kept a process from starting into the latter
            why = str(error.__cause__ or error).partition("\n")[0]
            say(f"no work with the scheduler at {wanted.address}: {why}; trying again")
        if not stop.is_set():
            await _either(stop.wait(), asyncio.sleep(_AGAIN_S))


async def _keep_workers(wanted: Workers, stop: asyncio.Event, say: Say) -> None:
    """Workers until they are stopped, or their scheduler is gone. One that is killed is started again, by its nanny."""
    from distributed import Nanny

    host = urlsplit(wanted.address).hostname or ""
    nannies = [
        Nanny(
            wanted.address,
            name=f"{wanted.name}-{number}",
            nthreads=1,
            memory_limit=None,  # it would not see the children, which hold the memory
            resources=dict(wanted.has),
            security=connection.security(urlsplit(wanted.address).scheme),
            host="127.0.0.1" if connection.is_loopback(host) else None,
            dashboard=False,
            dashboard_address="127.0.0.1:0",
        )
        for number in range(1, wanted.count + 1)
    ]
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(nanny) for nanny in nannies))
        say(f"{wanted.count} worker{'s' if wanted.count > 1 else ''} of {wanted.address}; Ctrl-C stops them")
        await _either(stop.wait(), *(one.finished() for one in nannies))


async def _either(*ways: Any) -> None:
    """Wait for the first of these."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _stopped() -> asyncio.Event:
    """Set by Ctrl-C and SIGTERM."""
    event, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, event.set)
        except NotImplementedError:  # on Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(event.set))
    return event
