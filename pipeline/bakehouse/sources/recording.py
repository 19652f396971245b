"""The recordings that golden inputs of speech recognition name."""

from __future__ import annotations

from pathlib import Path

from bakehouse.formats import wav
from bakehouse.sources.golden_file import GoldenFile
from bakehouse.steps.maker import Verification
from bakehouse.tasks.speech.recordings import FILE


def _judge(path: Path, name: str) -> Verification:
    """Of a form that models take, and not too long."""
    try:
        seconds = wav.seconds(wav.samples(path))
    except wav.NotARecording as reason:
        return Verification(faults=(f"The recording {name} cannot be used: {reason}.",), remedy=wav.HOW_TO)
    long = f"The recording {name} is {seconds:.1f} seconds long; at most {wav.LONGEST_S} can be compared."
    return Verification({"seconds": seconds}, (long,) if seconds > wav.LONGEST_S else ())


RECORDING = GoldenFile("recording", "a WAV file", FILE, _judge)
