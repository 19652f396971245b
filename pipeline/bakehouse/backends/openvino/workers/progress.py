"""Turns the progress bars that NNCF draws with rich into the worker's own events."""

from __future__ import annotations

import io
import re

import rich

from bakehouse.child import events

BAR = re.compile(r"(?P<doing>\S[^━╸╺]*?)\s+[━╸╺][━╸╺ ]*\s(?P<percent>\d+)%")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Bars(io.TextIOBase):
    """What rich takes for a terminal: reads each drawn bar and reports it when its percentage has changed."""

    def __init__(self) -> None:
        self.last: tuple[str, int] | None = None

    def write(self, text: str) -> int:
        for bar in BAR.finditer(ESCAPE.sub("", text)):
            now = (bar["doing"], int(bar["percent"]))
            if now != self.last:
                self.last = now
                events.progress(now[0], now[1], 100, "%")
        return len(text)


def follow() -> None:
    """From here on rich draws for us; wide enough that no description is cut."""
    rich.reconfigure(file=Bars(), force_terminal=True, no_color=True, width=160, legacy_windows=False)
