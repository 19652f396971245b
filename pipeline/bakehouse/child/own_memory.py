"""What a worker reports of its own memory: some systems, Windows among them, do not give its parent a figure."""

from __future__ import annotations

import atexit
import sys

from bakehouse.child import events, kernel32


def report_at_exit() -> None:
    """Report the peak when this process ends by itself, a refusal included."""
    atexit.register(lambda: events.memory(peak_bytes()))


def peak_bytes() -> int:
    """The most memory that this process has held resident."""
    if sys.platform == "win32":
        return kernel32.own_peak_bytes()
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # the BSDs count bytes, Linux kibibytes
