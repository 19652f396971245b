"""The pictures that golden inputs name, as steps and workers find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bakehouse.tasks.base import role_of
from bakehouse.tasks.vision_language.golden import PICTURE
from bakehouse.tasks.vision_language.seams import Asked, Question

FILE = "picture"  # in the folder of the step that brings one; it says itself whether it is PNG or JPEG


def asked(questions: Sequence[Question], brought: Mapping[str, Path]) -> tuple[Asked, ...]:
    """Each prompt with its picture where that was brought to."""
    return tuple(
        Asked(prompt=one.prompt, max_new_tokens=one.max_new_tokens, picture=brought[role_of(number, PICTURE)] / FILE)
        for number, one in enumerate(questions)
    )
