"""Where the texts of a data-aware quantization come from, and how much of them it takes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bakehouse.recipe.texts import TextsFile, TextsHub


class CalibrationFile(TextsFile):
    """Calibration texts from a file on this machine."""

    num_samples: int = Field(128, ge=1, description="Most samples to take.")
    max_tokens: int = Field(256, ge=8, description="Longer samples are cut to this many tokens.")


class CalibrationHub(TextsHub):
    """Calibration texts from a data set on the hub."""

    num_samples: int = Field(128, ge=1, description="Most samples to take.")
    max_tokens: int = Field(256, ge=8, description="Longer samples are cut to this many tokens.")


Calibration = Annotated[CalibrationFile | CalibrationHub, Field(discriminator="type")]
