"""What a worker reports while it runs: lines of JSON on a channel of their own, so that no print of a library can be mistaken for one.

The channel is a pipe that the parent opened and named in the environment. Without one, as when a person runs a worker by hand, the lines
go to standard output, each after a mark. What a person will read is cleaned of the secrets that `redact` keeps.
"""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from typing import NoReturn

from bakehouse.child.redact import clean

MARK = "@bakehouse "
CHANNEL = "BAKEHOUSE_EVENTS"  # the file descriptor of the pipe, on Windows its handle


@cache
def channel() -> int | None:
    """The file descriptor that events are written to; None without a channel. A process that this one starts does not get it."""
    name = os.environ.pop(CHANNEL, None)
    if name is None:
        return None
    if sys.platform == "win32":
        import msvcrt

        return msvcrt.open_osfhandle(int(name), os.O_WRONLY)
    os.set_inheritable(int(name), False)
    return int(name)


def _send(event: str, **values: object) -> None:
    line = json.dumps({"event": event, **values})
    if (to := channel()) is not None:
        os.write(to, f"{line}\n".encode())
    else:  # one write, with a line end before it: a progress bar may have left the cursor in the middle of a line
        os.write(1, f"\n{MARK}{line}\n".encode())


def progress(doing: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
    """Report what is being done now; `done` of `total` where it is known, in `unit` ("B" for bytes)."""
    _send("progress", doing=clean(doing), done=done, total=total, unit=unit)


def say(**values: object) -> None:
    """Hand a message over to whoever talks with this worker, which knows what is in it."""
    _send("said", message=values)


def memory(peak_bytes: int) -> None:
    """Report the most memory that this process held resident."""
    _send("memory", peak_bytes=peak_bytes)


def crashed(message: str, *, kinds: list[str], module: str | None, file: object, number: int | None) -> None:
    """Hand over an exception that ends this process: its type and message, the names of its type and of all above it; of an import
    what could not be imported, of the system's errors the file and the number."""
    _send("crashed", message=clean(message), kinds=kinds, module=module, file=clean(str(file or "")), number=number)


def refuse(what: str, remedy: str = "", details: list[str] | None = None) -> NoReturn:
    """End with a failure the user can act on, shown without a traceback (exit code 3)."""
    _send("refused", what=clean(what), remedy=clean(remedy), details=[clean(line) for line in details or []])
    raise SystemExit(3)
