"""What the options of a build can be asked, whatever its runtime."""

from __future__ import annotations

from typing import Self

from bakehouse.recipe.calibration import Calibration
from bakehouse.recipe.model import Model


class RuntimeBuild(Model):
    """The options of a build for one runtime; each backend has its own. What a runtime does not have is None."""

    def normal(self) -> Self:
        """The same with what is left open spelled out, so that equals are equal."""
        return self

    def folder(self) -> str | None:
        """The folder of a package that holds the model and nothing else, so that packages can be joined; None if it lies at the top."""
        return None

    def room(self) -> int | None:
        """Tokens that a prompt and its answer may have together, where the artifact itself sets a limit."""
        return None

    def texts(self) -> Calibration | None:
        """Where the texts of a data-aware quantization come from."""
        return None
