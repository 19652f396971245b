"""Whether a picture is the source's. Pure."""

from __future__ import annotations

from bakehouse.records import Drawing, Verdict
from bakehouse.tasks.text_to_image import pictures
from bakehouse.tasks.text_to_image.golden import Draw, most
from bakehouse.tasks.verdicts import without_tokens


def judge(golden: Draw, found: bytes, source: bytes, weights: str) -> Verdict:
    """Compare the colours of a picture with those of the source's from the same random numbers."""
    apart, allowed = pictures.difference(found, source), most(golden, weights)
    reasons = (
        () if apart <= allowed else (f"its colours differ from the source's picture by {apart:.2f} of 255 on average, {allowed:g} may",)
    )
    drawing = Drawing(width=golden.width, height=golden.height, difference=apart)
    return without_tokens(golden.prompt, "", reasons, drawing=drawing)
