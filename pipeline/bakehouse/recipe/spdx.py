"""Licence identifiers: the SPDX list, as cyclonedx-python-lib brings it, and the form of identifiers that are not on it."""

from __future__ import annotations

import difflib
import json
import re
from functools import cache
from importlib import util
from pathlib import Path

UNSTATED = "LicenseRef-unknown"  # what `bakehouse init` writes where a source states no licence
_LIST = "schema/_res/spdx.SNAPSHOT.schema.json"  # cyclonedx-python-lib 11.12; licences and exceptions in one list
_OWN = re.compile(r"LicenseRef-[A-Za-z0-9.-]+", re.IGNORECASE)
_EXPRESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*( (AND|OR|WITH) [A-Za-z0-9][A-Za-z0-9.+-]*)*")


def is_expression(value: str) -> bool:
    """Whether `value` has the form of one identifier, or of several joined by AND, OR and WITH."""
    return _EXPRESSION.fullmatch(value) is not None


def unknown(value: str) -> list[str]:
    """The identifiers in an expression that are neither on the SPDX list nor of the form LicenseRef-NAME; case does not count.

    Nothing is unknown if the list is not installed: a program that only checks a package does not judge its licence.
    """
    known = _identifiers()
    words = re.split(r" (?:AND|OR|WITH) ", value)
    return [word for word in words if known and word.lower() not in known and not _OWN.fullmatch(word)]


def nearest(value: str) -> str | None:
    """The identifier on the list that is most similar to `value`, or None: "Apache-2.0" for "Apache2"."""
    known = _identifiers()
    squeezed = {re.sub(r"[^a-z0-9]", "", low).removesuffix("0"): name for low, name in known.items()}
    if same := squeezed.get(re.sub(r"[^a-z0-9]", "", value.lower()).removesuffix("0")):
        return same
    found = difflib.get_close_matches(value.lower(), known, 1, 0.7)
    return known[found[0]] if found else None


@cache
def _identifiers() -> dict[str, str]:
    """Every identifier by its form in small letters; empty if cyclonedx is not installed."""
    spec = util.find_spec("cyclonedx")  # a top-level name: nothing is imported
    if spec is None or not spec.submodule_search_locations:
        return {}
    path = Path(spec.submodule_search_locations[0]) / _LIST
    return {name.lower(): name for name in json.loads(path.read_text(encoding="utf-8"))["enum"]}
