"""What a worker reports of an exception that nothing has caught: an event for its parent, and the traceback, cleaned, for its log."""

from __future__ import annotations

import sys
import threading
import traceback
from types import TracebackType

from bakehouse.child import events
from bakehouse.child.redact import clean


def install() -> None:
    """Report the exceptions of this process that nothing catches, of its threads too."""
    sys.excepthook = _report
    threading.excepthook = _report_of_thread


def _report_of_thread(fell: threading.ExceptHookArgs) -> None:
    if fell.exc_type is not SystemExit:
        _report(fell.exc_type, fell.exc_value, fell.exc_traceback)


def _report(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    sys.stderr.write(clean("".join(traceback.format_exception(kind, error, trace))))
    sys.stderr.flush()
    message = traceback.format_exception_only(kind, error)
    events.crashed(
        # Of a SyntaxError the lines before its own are the source, of a group what follows are its members.
        "".join(message[-1:] if isinstance(error, SyntaxError) else message[:1]),
        kinds=[base.__name__ for base in kind.__mro__],
        module=getattr(error, "name", None) if isinstance(error, ImportError) else None,
        file=getattr(error, "filename", None) if isinstance(error, OSError) else None,
        number=getattr(error, "errno", None) if isinstance(error, OSError) else None,
    )
