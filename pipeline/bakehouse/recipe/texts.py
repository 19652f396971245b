"""Texts that a recipe names: a file on this machine, or a file of a data set on the hub. One sample a line."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bakehouse.recipe.model import Model
from bakehouse.recipe.types import Commit, LocalPath, RelativePath, Repo


class TextsFile(Model):
    """Texts from a file on this machine."""

    type: Literal["file"] = Field(description="Texts from a file on this machine.")
    path: LocalPath = Field(description="Text file, one sample a line: absolute, from the home (`~/`), or relative to the recipe.")


class TextsHub(Model):
    """Texts from a data set on the hub."""

    type: Literal["huggingface"] = Field(description="Texts from a data set on the Hugging Face hub.")
    repo: Repo = Field(description="Data set repository on the hub, owner/name.")
    revision: Commit = Field(description="Full 40-digit commit of the data set; a branch or tag can move and is refused.")
    file: RelativePath = Field(description="A text file of the data set, one sample a line.")


Texts = Annotated[TextsFile | TextsHub, Field(discriminator="type")]
