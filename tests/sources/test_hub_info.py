"""What a server answers that is no hub is said in words, whatever it answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bakehouse.sources.workers import hub_info

GOOD: dict[str, Any] = {"sha": "0" * 40, "siblings": [{"rfilename": "a", "size": 3}, {"rfilename": "b", "lfs": {"size": 9, "sha256": "1"}}]}


def test_the_files_of_a_repository_are_read_with_their_sizes() -> None:
    found = hub_info.read(json.dumps(GOOD).encode()).files
    assert {name: one.size for name, one in found.items()} == {"a": 3, "b": 9}


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        json.dumps({**GOOD, "siblings": "x"}).encode(),
        json.dumps({**GOOD, "sha": []}).encode(),
    ],
)
def test_an_answer_that_is_none_is_an_error_of_its_own(body: bytes) -> None:
    with pytest.raises(hub_info.Unreadable, match=r".+"):
        hub_info.read(body)


def test_a_file_without_a_size_is_an_error_of_its_own() -> None:
    with pytest.raises(hub_info.Unreadable, match="it names no size of a"):
        _ = hub_info.read(json.dumps({**GOOD, "siblings": [{"rfilename": "a"}]}).encode()).files
