"""The recordings that golden inputs name, as steps and workers find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bakehouse.tasks.base import role_of
from bakehouse.tasks.speech.golden import AUDIO
from bakehouse.tasks.speech.seams import Recorded

FILE = "recording.wav"  # in the folder of the step that brings one


def recorded(languages: Sequence[str | None], brought: Mapping[str, Path]) -> tuple[Recorded, ...]:
    """Each recording where it was brought to, with its language."""
    return tuple(Recorded(path=brought[role_of(number, AUDIO)] / FILE, language=one) for number, one in enumerate(languages))
