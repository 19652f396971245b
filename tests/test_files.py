from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from pipeline import files


def _folder(root: Path) -> Path:
    (root / "below").mkdir(parents=True)
    (root / "one.txt").write_text("one")
    (root / "below" / "two.bin").write_bytes(b"two" * 1000)
    return root


def test_records_name_every_file_with_size_and_sha256(tmp_path: Path) -> None:
    found = files.records(_folder(tmp_path / "a"))
    assert [(record.path, record.size, record.sha256) for record in found] == [
        ("below/two.bin", 3000, hashlib.sha256(b"two" * 1000).hexdigest()),
        ("one.txt", 3, hashlib.sha256(b"one").hexdigest()),
    ]


def test_a_sealed_folder_has_no_faults_and_is_not_hashed_again(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a")
    expected = files.records(folder)
    files.seal(folder)
    assert files.faults(folder, expected) == ()
    # other content of the same size under the sealing time is only found by hashing: a glance looks at size and time
    (folder / "one.txt").chmod(0o644)
    (folder / "one.txt").write_text("eno")
    os.utime(folder / "one.txt", ns=(files.SEALED_AT_NS, files.SEALED_AT_NS))
    assert files.faults(folder, expected) == ()
    assert files.faults(folder, expected, thorough=True)[0].startswith("one.txt: content changed (sha256 ")


def test_every_way_to_be_wrong_is_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a")
    expected = files.records(folder)
    files.seal(folder)
    (folder / "one.txt").unlink()
    (folder / "below" / "two.bin").chmod(0o644)
    (folder / "below" / "two.bin").write_bytes(b"short")
    (folder / "stranger").write_text("?")
    assert files.faults(folder, expected) == (
        "one.txt: missing",
        "below/two.bin: 5 bytes, should be 3,000",
        "stranger: does not belong here",
    )


def test_a_flipped_byte_shows_at_a_glance_because_the_time_changed(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a")
    expected = files.records(folder)
    files.seal(folder)
    (folder / "one.txt").chmod(0o644)
    (folder / "one.txt").write_text("onf")
    assert len(files.faults(folder, expected)) == 1


def test_a_copied_folder_is_whole_although_its_times_are_new(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a")
    expected = files.records(folder)
    assert files.faults(folder, expected) == ()


def test_a_missing_folder_is_missing_all_its_files(tmp_path: Path) -> None:
    expected = files.records(_folder(tmp_path / "a"))
    assert files.faults(tmp_path / "nowhere", expected) == ("below/two.bin: missing", "one.txt: missing")


def test_a_symlink_has_no_place_in_a_folder_of_ours(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a")
    (folder / "link").symlink_to(folder / "one.txt")
    with pytest.raises(ValueError, match="neither a regular file nor a folder"):
        files.records(folder)


def test_sealed_files_cannot_be_written_by_accident(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a")
    files.seal(folder)
    assert not (folder / "one.txt").stat().st_mode & 0o222


def test_a_text_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "text.json"
    files.write(target, "first\n")
    with pytest.raises(UnicodeEncodeError):
        files.write(target, "\ud800")
    assert target.read_text() == "first\n"
    assert list(target.parent.iterdir()) == [target]


def test_a_link_shares_the_bytes_and_is_no_symlink(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a")
    files.link(folder / "one.txt", tmp_path / "b" / "c" / "one.txt")
    assert (tmp_path / "b" / "c" / "one.txt").stat().st_ino == (folder / "one.txt").stat().st_ino
    assert not (tmp_path / "b" / "c" / "one.txt").is_symlink()


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    files.remove(tmp_path / "nothing")
    files.seal(_folder(tmp_path / "a"))
    files.remove(tmp_path / "a")
    assert not (tmp_path / "a").exists()
