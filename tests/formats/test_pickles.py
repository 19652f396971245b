"""Pickles are found whatever they are called, and weights are not taken for them."""

from __future__ import annotations

import io
import pickle
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from bakehouse.formats import pickles


def _archive(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, b"x")
    return stream.getvalue()


def _tar(name: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return stream.getvalue()


LEGACY_TORCH = b"".join(pickle.dumps(part, protocol=2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((f"model{suffix}", b"") for suffix in sorted(pickles.SUFFIXES)),
        ("MODEL.PT", b""),
        *((f"protocol-{protocol}.bin", pickle.dumps({"a": [1]}, protocol=protocol)) for protocol in (2, 3, 4, 5)),
        ("long.bin", pickle.dumps(list(range(500_000)), protocol=4)),
        ("torch.bin", _archive("archive/data.pkl")),
        ("legacy.bin", LEGACY_TORCH),
        ("old.bin", _tar("storages.pkl")),
    ],
)
def test_a_pickle_is_found_by_its_name_or_its_content(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).write_bytes(content)
    (tmp_path / "config.json").write_text("{}")
    assert pickles.found(tmp_path) == (f"folder/{name}",)


@pytest.mark.model
def test_a_real_torch_file_is_found(tmp_path: Path) -> None:
    import torch

    torch.save({"a": torch.zeros(3)}, tmp_path / "model.bin")
    torch.save({"a": torch.zeros(3)}, tmp_path / "legacy.bin", _use_new_zipfile_serialization=False)
    assert pickles.found(tmp_path) == ("legacy.bin", "model.bin")


@pytest.mark.parametrize("head", [b"", b"\x80", b"\x80\x02", b"\x80\x04\x95", b"PK\x03\x04", b"\x80\x05]\x94("])
def test_weights_are_not_taken_for_pickles_whatever_they_start_with(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "openvino_model.bin").write_bytes(head + random.Random(1).randbytes(3 << 20))
    (tmp_path / "files.zip").write_bytes(_archive("config.json"))
    assert pickles.found(tmp_path) == ()


def _other_version(archive: bytes) -> bytes:
    """The archive as if a later version of the format were needed to read it."""
    at = archive.index(b"PK\x01\x02") + 6
    return archive[:at] + b"\xff" + archive[at + 1 :]


def _misnamed(archive: bytes) -> bytes:
    """The archive as if its one name were UTF-8, which it is not."""
    at = archive.index(b"PK\x01\x02")
    return archive[: at + 9] + b"\x08" + archive[at + 10 : at + 46] + b"\x98" + archive[at + 47 :]


@pytest.mark.parametrize(
    "content",
    [
        _archive("a").replace(b"PK\x01\x02", b"PK\x01\x00"),
        _other_version(_archive("a")),
        _misnamed(_archive("a")),
        _tar("a")[:148] + b"x" * 8 + _tar("a")[156:],
    ],
    ids=["zip", "zip of another version", "zip with a name in no known encoding", "tar"],
)
def test_a_damaged_archive_is_taken_for_one_with_a_pickle(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    assert pickles.is_pickle(tmp_path / "model.bin")
