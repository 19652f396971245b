"""What every command prints alike: failures, tables, and text on a console that cannot show all of it."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING

from bakehouse.errors import Failure

if TYPE_CHECKING:
    from rich.console import Console

JSON_HELP = "print one JSON document for scripts and nothing else, errors too"
_NOT_READ = 141  # what a shell makes of SIGPIPE
_IN_A_FILE = 160  # columns, where nothing knows how wide a reader's window is


def escape_what_cannot_be_shown() -> None:
    """Have a character that the encoding of our output lacks written as an escape: redirected on Windows, that knows few."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_unread(error: OSError, platform: str = sys.platform) -> bool:
    """Whether it says that who read our output is gone. Windows' C runtime has EINVAL for that (python/cpython#79935)."""
    return isinstance(error, BrokenPipeError) or (platform == "win32" and error.errno == errno.EINVAL and error.filename is None)


def not_read() -> int:
    """The exit code where `is_unread`: who read us has seen enough, as `head` has. What is left in the buffer goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _NOT_READ


def in_place(text: str) -> None:
    """Show what is done in a line that the next one replaces; only on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def show(failure: Failure, code: int, *, as_json: bool = False) -> int:
    """Print a failure, and return the exit code."""
    print(f"ERROR: {failure}", file=sys.stderr)
    if as_json:
        from bakehouse.app import documents

        print(documents.text(documents.refused(failure)))
    return code


def for_tables() -> Console:
    """Where a table is printed: as wide as the terminal."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else _IN_A_FILE)
