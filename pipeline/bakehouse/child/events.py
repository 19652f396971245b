"""What a worker tells its parent: lines of JSON on standard output, marked so that a library's own prints cannot be mistaken for them.

What a person will read is cleaned of the secrets that `discreet` keeps; facts are data, and stay as they are.
"""

from __future__ import annotations

import json
import os
from typing import Any, NoReturn

from bakehouse.child.redact import clean

MARK = "@bakehouse "


def _send(event: dict[str, Any]) -> None:
    # One write, with a line end before it: a progress bar may have left the cursor in the middle of a line.
    os.write(1, f"\n{MARK}{json.dumps(event)}\n".encode())


def progress(doing: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
    """Say what is being done now; `done` of `total` where it is known, in `unit` ("B" for bytes)."""
    _send({"event": "progress", "doing": clean(doing), "done": done, "total": total, "unit": unit})


def result(**facts: Any) -> None:
    """Hand measured facts (JSON values) to the parent; of several calls lists are joined, of other values the later counts."""
    _send({"event": "result", "facts": facts})


def crashed(said: str, *, kinds: list[str], module: str | None, file: object, number: int | None) -> None:
    """Hand over an exception that ends this process: its type and message, the names of its type and of all above it; of an import
    what could not be imported, of the system's errors the file and the number."""
    _send({"event": "crashed", "said": clean(said), "kinds": kinds, "module": module, "file": clean(str(file or "")), "number": number})


def refuse(what: str, remedy: str = "", details: list[str] | None = None) -> NoReturn:
    """End with a failure the user can act on, shown without a traceback (exit code 3)."""
    told = {"what": clean(what), "remedy": clean(remedy), "details": [clean(line) for line in details or []]}
    _send({"event": "refused", **told})
    raise SystemExit(3)
