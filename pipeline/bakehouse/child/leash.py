"""A worker must not outlive its parent: a kill -9 of doit may not leave a converter eating memory behind."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from bakehouse.child import crash, events, kernel32, own_memory

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LOOK_S = 0.5


def hold(platform: str = sys.platform) -> None:
    """Die with the parent, and tell it of an exception that nothing catches. Call it first in every worker.

    On Linux the kernel does it (PR_SET_PDEATHSIG). Elsewhere a thread follows the parent: on Windows it waits for the end of that
    process, on other systems it looks every half second whether somebody else has become the parent. It reads no standard input: on
    Windows a blocked read of it stops `import numpy` for ever (numpy#24290).

    A worker that is held also reports its peak memory when it ends.
    """
    events.channel()
    crash.install()
    own_memory.report_at_exit()
    if platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        parent = os.environ.get("BAKEHOUSE_PARENT")
        if parent and os.getppid() != int(parent):  # it ended before the kernel knew
            os._exit(1)
    elif parent := os.environ.get("BAKEHOUSE_PARENT"):
        wait = _process_to_wait_for(int(parent)) if platform == "win32" else lambda: _wait_to_be_orphaned(int(parent))
        threading.Thread(target=_die_after, args=(wait,), daemon=True).start()


def _die_after(wait: Callable[[], None]) -> None:
    wait()
    os._exit(1)


def _wait_to_be_orphaned(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_S)


def _process_to_wait_for(parent: int) -> Callable[[], None]:
    """The wait for a process on Windows, which is opened at once: later its id may be another's."""
    try:
        handle = kernel32.open_to_wait(parent)
    except OSError as error:
        if getattr(error, "winerror", None) != kernel32.INVALID_PARAMETER:
            raise
        return lambda: None  # it died before this
    return lambda: kernel32.wait_for_end(handle)
