"""What of a test's cases is in `make test`; the others are for `make conformance`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

import pytest

_Case = TypeVar("_Case")


def cases(every: Iterable[Any], kept: Collection[Any]) -> list[Any]:
    """The values of a parameter, or the rows of several: those that are not `kept` have the marker of the conformance run."""
    rows = [(case, case if isinstance(case, tuple) else (case,)) for case in every]
    return [pytest.param(*values, marks=() if case in kept else pytest.mark.conformance) for case, values in rows]


def made(request: pytest.FixtureRequest, every: Mapping[str, _Case], kept: Collection[str]) -> dict[str, _Case]:
    """What a fixture prepares for a run, by name: only what will be asked for."""
    whole = request.config.getoption("conformance")
    return {name: case for name, case in every.items() if whole or name in kept}
