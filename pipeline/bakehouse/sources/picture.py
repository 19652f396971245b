"""The pictures that golden inputs of vision-language models name."""

from __future__ import annotations

from pathlib import Path

from bakehouse.formats import picture
from bakehouse.sources.golden_file import GoldenFile
from bakehouse.steps.maker import Verification
from bakehouse.tasks.vision_language.pictures import FILE


def _judge(path: Path, name: str) -> Verification:
    """A PNG or JPEG file, and not too large."""
    try:
        width, height = picture.size(path)
    except picture.NotAPicture as reason:
        return Verification(faults=(f"The picture {name} cannot be used: {reason}.",), remedy=picture.HOW_TO)
    return Verification({"width": width, "height": height})


PICTURE = GoldenFile("picture", "a PNG or JPEG file", FILE, _judge)
