"""Makes what every build is compared with: what the unquantized checkpoint draws, in diffusers, in float32."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.tasks.source_run import SourceRun
from bakehouse.tasks.text_to_image import pictures
from bakehouse.tasks.text_to_image.seams import ReferenceRequest, ReferenceSpec, Wish


def _request(step: Step, inputs: Mapping[str, Path], files: Path) -> ReferenceRequest:
    spec = step.spec_as(ReferenceSpec)
    return ReferenceRequest(checkpoint=inputs["checkpoint"], wishes=spec.wishes, files=files, remote_code=spec.remote_code)


def _verify(step: Step, files: Path, report: Report) -> Verification:
    """Compare the pictures with what was wished: all are there, as large as they should be, and not of one colour."""
    wishes = step.spec_as(ReferenceSpec).wishes
    return Verification({"pictures": len(wishes)}, tuple(_faults(wishes, files)))


def _faults(wishes: tuple[Wish, ...], files: Path) -> Iterator[str]:
    for number, wish in enumerate(wishes):
        path, size = pictures.path(files, "source", number), 3 * math.prod(wish.sizes().values())
        if not path.is_file():
            yield f"the source drew no picture {number + 1}"
        elif len(colours := path.read_bytes()) != size:
            yield f"picture {number + 1} of the source has {len(colours)} bytes, should have {size}"
        elif len({*colours}) == 1:
            yield f"picture {number + 1} of the source has one colour only, so that nothing can be compared with it"


RUN = SourceRun("text-to-image", "tasks.text_to_image.workers.diffusers_draw", _request, _verify, ("diffusers",))
