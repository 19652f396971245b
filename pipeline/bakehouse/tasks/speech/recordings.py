"""The recordings that golden inputs name, as steps and workers find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bakehouse.records import Timestamps
from bakehouse.tasks.base import role_of
from bakehouse.tasks.speech.golden import AUDIO
from bakehouse.tasks.speech.seams import Recorded

FILE = "recording.wav"  # in the folder of the step that brings one


def recorded(languages: Sequence[str | None], timestamps: Sequence[Timestamps | None], brought: Mapping[str, Path]) -> tuple[Recorded, ...]:
    """Each recording where it was brought to, with its language and the times that are wanted; no `timestamps`: of none."""
    paths = (brought[role_of(number, AUDIO)] / FILE for number in range(len(languages)))
    return tuple(
        Recorded(path=path, language=language, timestamps=kind)
        for path, language, kind in zip(paths, languages, timestamps or (None,) * len(languages), strict=True)
    )
