"""A checkpoint's config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from bakehouse.formats.fields import Fields

NAME = "config.json"
Config = Fields


def read(folder: Path) -> Config:
    """The config.json in a checkpoint's folder.

    Raises:
        OSError, ValueError: there is none, or it is not JSON.
        TypeError: it is not an object.
    """
    found = json.loads((folder / NAME).read_text(encoding="utf-8"))
    if not isinstance(found, Mapping):
        raise TypeError(f"{NAME} is not a JSON object")
    return found
