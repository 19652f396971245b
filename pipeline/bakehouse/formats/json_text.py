"""JSON that others wrote: whatever it is, it is read, or is not JSON."""

from __future__ import annotations

import json


def loads(text: str | bytes) -> object:
    """The value of a JSON text.

    Raises:
        ValueError: it is not JSON, not UTF-8, or nested deeper than it can be read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
