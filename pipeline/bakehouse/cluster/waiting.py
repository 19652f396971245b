"""What must be done with the shared store of a cluster: one that is out of reach for a while is waited for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from bakehouse.errors import Failure
from bakehouse.executor.process import Children
from bakehouse.executor.shared_store import Remote
from bakehouse.store.store import Store

_WAITS_S = (2, 5, 10, 20, 30, 60, 60, 60, 60, 60, 60, 60, 60)  # ten minutes in all


def insist(
    act: Callable[[Remote], str],
    store: Store,
    children: Children,
    say: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Do something with the shared store, again and again while it is out of reach; each time with a Remote that has not given up.

    Args:
        act: does it, and returns what is wrong, in a sentence, or "".
        say: is called with what is waited for.

    Raises:
        Failure: the shared store did not come back, it is not as it should be, or `children` are stopped.
    """
    for wait_s in (*_WAITS_S, 0):
        heard: list[str] = []
        remote = Remote(store, children, environ, heard.append)
        wrong = act(remote)
        if not wrong:
            return
        if not remote.silent or not wait_s:
            raise Failure(wrong, details=tuple(heard), remedy="run the same command again when all machines reach the shared store")
        say(f"waiting for the shared store, which is out of reach: {remote.silent}")
        _sleep(wait_s, children)


def _sleep(seconds: float, children: Children) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if children.stopping:
            raise Failure("interrupted")
        time.sleep(0.2)
