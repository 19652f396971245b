"""The size of a picture is read from its header; what a vision-language model cannot be given is refused with what it is."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.formats import picture
from tests.support import vision


def jpeg(width: int, height: int, frame: int = 0xC2) -> bytes:
    """The header of a JPEG: a segment of JFIF, a table that is no frame, and the frame."""
    segments = ((0xE0, b"JFIF\0" + bytes(9)), (0xC4, bytes(20)), (frame, struct.pack(">BHHB", 8, height, width, 3) + bytes(9)))
    return b"\xff\xd8" + b"".join(struct.pack(">BBH", 0xFF, kind, len(data) + 2) + data for kind, data in segments)


def test_the_size_of_a_png_is_read(tmp_path: Path) -> None:
    assert picture.size(vision.picture(tmp_path / "a.png", 20, 30)) == (20, 30)


@pytest.mark.parametrize("frame", [0xC0, 0xC2])
def test_the_size_of_a_jpeg_is_read(frame: int, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(640, 480, frame))
    assert picture.size(tmp_path / "a.jpg") == (640, 480)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello", snapshot("it is neither a PNG nor a JPEG file")),
        (b"\x89PNG\r\n\x1a\n\0\0", snapshot("it is not a picture that can be read (it ends too early)")),
        (jpeg(8, 8)[:-14], snapshot("it is not a picture that can be read (it ends too early)")),
        (b"\xff\xd8hello, this is none", snapshot("it is neither a PNG nor a JPEG file")),
        (jpeg(9000, 8), snapshot("it has 9,000 by 8 points, and each side may have 1 to 8,192")),
        (jpeg(0, 8), snapshot("it has 0 by 8 points, and each side may have 1 to 8,192")),
    ],
)
def test_another_file_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(picture.NotAPicture) as refused:
        picture.size(tmp_path / "a")
    assert str(refused.value) == reason


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(picture.NotAPicture, match="No such file"):
        picture.size(tmp_path / "a")
