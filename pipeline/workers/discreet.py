"""Keeps secrets out of what a worker says: the token, and the signed addresses that a hub hands out for uploads.

Such an address is a key of its own for some hours; the hub's client writes it into its warnings and exceptions.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from types import TracebackType

from pipeline.workers import events

_secrets: set[str] = set()
_QUERY = re.compile(r"(https?://[^\s?'\"<>]+)\?[^\s'\"<>]+")


def keep(secret: str | None) -> None:
    """Never say `secret` from now on."""
    if secret:
        _secrets.add(secret)


def clean(text: str) -> str:
    """The text without secrets and without what follows the `?` in an address."""
    for secret in _secrets:
        text = text.replace(secret, "***")
    return _QUERY.sub(r"\1?***", text)


def install() -> None:
    """Warnings of the hub's client become progress, and a traceback at the end is cleaned too."""
    logger = logging.getLogger("huggingface_hub")
    logger.handlers = [_Told()]
    logger.propagate = False
    sys.excepthook = _show


class _Told(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        events.progress(clean(record.getMessage()))


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(clean("".join(traceback.format_exception(kind, error, trace))))
