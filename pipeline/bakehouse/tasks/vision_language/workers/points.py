"""Pictures as the points that vision-language models take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bakehouse.child import events
from bakehouse.formats import picture


def read(path: Path) -> Any:
    """The picture as it is stored, in red, green and blue."""
    from PIL import Image

    try:
        picture.size(path)
        with Image.open(path, formats=("PNG", "JPEG")) as file:
            return file.convert("RGB")
    except picture.NotAPicture as reason:
        events.refuse(f"The picture {path.name} cannot be used: {reason}.", f"{picture.HOW_TO}.")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # what Pillow says of files that are damaged
        events.refuse(f"The picture {path.name} cannot be read.", f"{picture.HOW_TO}.", [f"{type(error).__name__}: {error}"])
