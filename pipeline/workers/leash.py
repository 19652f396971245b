"""A worker must not outlive its parent: a kill -9 of doit may not leave a converter eating memory behind."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

from pipeline.workers import crash

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def hold() -> None:
    """Die with the parent, and tell it of an exception that nothing catches. Call it first in every worker.

    On Linux the kernel does it (PR_SET_PDEATHSIG). Elsewhere a thread waits for the end of standard input,
    which the parent holds open as long as it lives.
    """
    crash.install()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        parent = os.environ.get("BAKEHOUSE_PARENT")
        if parent and os.getppid() != int(parent):  # it died before the kernel was told
            os._exit(1)
    else:
        threading.Thread(target=_die_at_end_of_input, daemon=True).start()


def _die_at_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)
