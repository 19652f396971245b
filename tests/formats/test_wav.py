"""Recordings are read in the one form that speech models take, and others are refused with what they are."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from bakehouse.formats import wav


def written(path: Path, channels: int = 1, width: int = 2, rate: int = 16_000, frames: int = 160) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(bytes(range(1, 1 + channels * width)) * frames)
    return path


def test_the_numbers_of_a_recording_are_read(tmp_path: Path) -> None:
    data = wav.samples(written(tmp_path / "a.wav"))
    assert data == b"\x01\x02" * 160 and wav.seconds(data) == 0.01


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"channels": 2}, "it has 2 channel(s) of 16 bits at 16,000 Hz, should have 1 of 16 bits at 16,000 Hz"),
        ({"rate": 44_100}, "it has 1 channel(s) of 16 bits at 44,100 Hz"),
        ({"width": 1}, "it has 1 channel(s) of 8 bits"),
        ({"frames": 0}, "it is empty"),
    ],
)
def test_another_form_is_refused(form: dict[str, int], reason: str, tmp_path: Path) -> None:
    with pytest.raises(wav.NotARecording) as refused:
        wav.samples(written(tmp_path / "a.wav", **form))
    assert str(refused.value).startswith(reason)


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    for name in ("a.wav", "absent.wav"):
        with pytest.raises(wav.NotARecording, match="not a WAV file"):
            wav.samples(tmp_path / name)


def test_a_part_that_says_it_is_longer_than_the_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav")
    body = path.read_bytes()
    at = body.index(b"data")
    path.write_bytes(body[:at] + b"tata" + body[at + 4 :])
    with pytest.raises(wav.NotARecording, match="not a WAV file"):
        wav.samples(path)
