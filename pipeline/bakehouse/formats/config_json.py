"""A checkpoint's config.json; of a pipeline of diffusers, which has one for each of its models, model_index.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bakehouse.formats import fields, json_text
from bakehouse.formats.fields import Fields

NAME = "config.json"
PIPELINE = "model_index.json"
Config = Fields


def read(folder: Path) -> Config:
    """The config.json in a checkpoint's folder, or the model_index.json of a pipeline.

    Raises:
        OSError, ValueError: there is none, or it is not a JSON object.
    """
    name = PIPELINE if is_pipeline(folder) else NAME
    found = json_text.loads((folder / name).read_bytes())
    if not isinstance(found, Mapping):
        raise ValueError(f"{name} is not a JSON object")
    return found


def kind(config: Config) -> str:
    """The model type, or the class of a pipeline; "" if neither is named."""
    return fields.text(config, "model_type") or fields.text(config, "_class_name")


def is_pipeline(folder: Path) -> bool:
    """Whether a checkpoint is a pipeline of diffusers: models, each in a folder, and a file that names them."""
    return (folder / PIPELINE).is_file() and not (folder / NAME).is_file()
