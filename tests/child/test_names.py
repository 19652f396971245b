"""A few names out of many."""

from __future__ import annotations

from bakehouse.child import names


def test_the_first_names_are_given_and_the_others_counted() -> None:
    assert names.some(["a", "b"], 2) == "a, b"
    assert names.some(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert names.listed("missing", ["a"], 1) == ["missing: a"]
    assert names.listed("missing", ["a", "b", "c"], 1) == ["missing: a", "missing: 2 more"]
