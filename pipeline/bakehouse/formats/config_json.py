"""A checkpoint's config.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bakehouse.formats import json_text
from bakehouse.formats.fields import Fields

NAME = "config.json"
Config = Fields


def read(folder: Path) -> Config:
    """The config.json in a checkpoint's folder.

    Raises:
        OSError, ValueError: there is none, or it is not a JSON object.
    """
    found = json_text.loads((folder / NAME).read_bytes())
    if not isinstance(found, Mapping):
        raise ValueError(f"{NAME} is not a JSON object")
    return found
