"""A blob whose settings are damaged is still read, or refused in words."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from bakehouse.formats import npu_blob

HEAD = b"\x13\x37npuwLLMCMO" + struct.pack("<3i", 2026, 4, 1) + struct.pack("<Q", 3) + b"0.1" + b"\x00\x01"
END = struct.pack("<Q", 32) + b"k3" * 16


@pytest.mark.parametrize("value", [b"\xff\xfe", b"512"])
def test_a_setting_that_is_no_text_is_read_all_the_same(tmp_path: Path, value: bytes) -> None:
    (tmp_path / "a.blob").write_bytes(HEAD + b'\0NPUW_LLM_MAX_PROMPT_LEN="' + value + b'" \0' + END)
    assert npu_blob.read(tmp_path / "a.blob").settings["NPUW_LLM_MAX_PROMPT_LEN"] == value.decode("ascii", "replace")


def test_settings_that_never_end_are_read_up_to_the_end(tmp_path: Path) -> None:
    body = HEAD + b'\0NPUW_LLM_MAX_PROMPT_LEN="512"' + b"x" * 5000 + END
    (tmp_path / "a.blob").write_bytes(body)
    assert npu_blob.read(tmp_path / "a.blob").settings == {"NPUW_LLM_MAX_PROMPT_LEN": "512"}
