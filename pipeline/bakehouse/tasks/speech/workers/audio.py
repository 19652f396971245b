"""Recordings as the numbers that speech models take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bakehouse.child import events
from bakehouse.formats import wav


def read(path: Path) -> Any:
    """The recording as float32 numbers between -1 and 1."""
    import numpy as np

    return np.frombuffer(samples(path), dtype="<i2").astype(np.float32) / 32768


def samples(path: Path) -> bytes:
    """The recording as numbers of 16 bits, the lower byte first."""
    try:
        return wav.samples(path)
    except wav.NotARecording as reason:
        events.refuse(f"The recording {path.name} cannot be used: {reason}.", f"{wav.HOW_TO}.")
