"""What ONNX Runtime GenAI 0.18 does not do with recordings: it has no rules for times, and does not hear what is beyond a window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bakehouse.formats import wav


def refusals(recording: Path | None, *, times: bool) -> Iterator[str]:
    """Sentences on why a recording cannot be written down as it is wanted; `recording` is None where it is not here."""
    if times:
        yield "ONNX Runtime GenAI does not say when words are said"
    if recording is not None and recording.is_file():
        try:
            seconds = wav.seconds(wav.samples(recording))
        except wav.NotARecording:  # is said where it is read
            return
        if seconds > wav.WINDOW_S:
            yield f"the recording has {seconds:.1f} seconds, and ONNX Runtime GenAI hears {wav.WINDOW_S}"
