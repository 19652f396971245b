"""What crosses between the pipeline and the workers of text-to-image models."""

from __future__ import annotations

from pathlib import Path

from bakehouse.records import Written
from bakehouse.tasks.seams import RunRequest, SourceRequest, SourceSpec


class Wish(Written):
    """A picture that shall be drawn; without width and height as large as the model draws by itself."""

    prompt: str
    steps: int
    seed: int
    width: int | None = None
    height: int | None = None
    guidance: float

    def sizes(self) -> dict[str, int]:
        """Width and height as pipelines take them."""
        return {name: size for name, size in (("width", self.width), ("height", self.height)) if size is not None}


class ReferenceSpec(SourceSpec):
    """The pictures that shall be drawn."""

    wishes: tuple[Wish, ...]


class ReferenceRequest(SourceRequest):
    """The pictures that shall be drawn, and the folder for their colours; see `pictures`."""

    wishes: tuple[Wish, ...]
    files: Path


class DrawRequest(RunRequest):
    """The pictures that shall be drawn, and the folder for their colours; `png`: the file for the only one instead, as a picture."""

    wishes: tuple[Wish, ...]
    files: Path
    png: Path | None = None
