"""JSON that others wrote is a value or a ValueError, however deep it is nested."""

from __future__ import annotations

import pytest

from bakehouse.formats import json_text


def test_json_is_read() -> None:
    assert json_text.loads(b'{"a": [1, null]}') == {"a": [1, None]}


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, b"\xff", "1" * 5000, "{"])
def test_what_is_no_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        json_text.loads(text)
