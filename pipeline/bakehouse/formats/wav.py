"""Recordings in WAV files, as speech models take them: one channel of 16-bit numbers, 16,000 a second."""

from __future__ import annotations

import wave
from pathlib import Path

RATE = 16_000
WINDOW_S = 30  # what Whisper hears at once
LONGEST_S = 3600  # the source hears it in float32, which takes about as long on a processor
HOW_TO = "`ffmpeg -i FILE -ar 16000 -ac 1 -c:a pcm_s16le OUT.wav` makes such a file"


class NotARecording(ValueError):
    """The file cannot be given to a speech model: a sentence without its end."""


def samples(path: Path) -> bytes:
    """The numbers of a recording, each of 16 bits, the lower byte first.

    Raises:
        NotARecording: with the reason.
    """
    try:
        with wave.open(str(path), "rb") as file:
            found = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            data = file.readframes(file.getnframes())
    # RuntimeError is what `chunk`, on which `wave` stands, raises where a part is longer than the file.
    except (wave.Error, EOFError, OSError, RuntimeError) as error:
        raise NotARecording(f"it is not a WAV file that can be read ({str(error) or 'it ends too early'})") from error
    if found != (1, 2, RATE):
        channels, width, rate = found
        raise NotARecording(f"it has {channels} channel(s) of {8 * width} bits at {rate:,} Hz, should have 1 of 16 bits at {RATE:,} Hz")
    if not data:
        raise NotARecording("it is empty")
    return data


def seconds(data: bytes) -> float:
    """How long such a recording is."""
    return len(data) / 2 / RATE
