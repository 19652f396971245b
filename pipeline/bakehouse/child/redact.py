"""Keeps secrets out of what a worker says: tokens, logins in addresses, and the signed addresses that a hub hands out for uploads.

Such an address is a key of its own for some hours; clients write it into their warnings and exceptions.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import parse_qsl, quote, unquote

from bakehouse.child import credentials

_secrets: set[str] = set()
_QUERY = re.compile(r"(https?://[^\s?'\"<>]+)\?[^\s'\"<>]+")
_LEAST = 8  # characters; shorter values (a flag, a name) would be found in every second word


def keep(secret: str | None) -> None:
    """Never say `secret` from now on, neither as it is nor percent-encoded or decoded."""
    if secret:
        _secrets.update((secret, quote(secret, safe=""), unquote(secret)))


def keep_address(url: str) -> None:
    """Never say the login or the query of an address."""
    for secret in _secrets_of(url):
        keep(secret)


def shown(url: str) -> str:
    """An address without its login and its query."""
    scheme, mark, rest = url.partition("://")
    place, asked, _ = _login(rest)[1].partition("?")
    return f"{scheme}{mark}{place}" + ("?***" if asked else "")


def clean(text: str) -> str:
    """The text without secrets and without what follows the `?` in an address."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _QUERY.sub(r"\1?***", text)


def install(tell: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> None:
    """Keep the secrets of the environment; libraries' warnings go to `tell`, cleaned. Tracebacks are cleaned in `crash`."""
    for name, value in environ.items():
        keep_address(value)
        if credentials.is_secret(name) and len(value) >= _LEAST:
            keep(value)
    for logger in (logging.getLogger(), logging.getLogger("huggingface_hub")):  # the hub's has a handler of its own
        logger.handlers = [_Told(tell)]
    logging.getLogger("huggingface_hub").propagate = False
    logging.captureWarnings(True)


def _login(rest: str) -> tuple[str, str]:
    """The login before the last `@` of what follows `://`, and the rest; a password may itself have `@`, `/` and `?` in it."""
    before, mark, after = rest.rpartition("@")
    return (before, after) if mark and (":" in before or "/" not in before) else ("", rest)


def _secrets_of(url: str) -> Iterator[str]:
    rest = url.partition("://")[2]
    for part in (rest, re.split(r"[/?#]", rest, maxsplit=1)[0]):  # as a person may mean it, and as the standard says
        login, place = _login(part)
        password = login.partition(":")[2]
        yield from (password, login) if password else [login] if len(login) >= _LEAST else []
        query = place.partition("?")[2]
        yield from (part for part in (query, *(value for _, value in parse_qsl(query))) if len(part) >= _LEAST)


class _Told(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(clean(record.getMessage()))
