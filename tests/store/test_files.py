from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.store import files
from tests.support.systems import not_on_windows, not_under_wine


def _folder(root: Path) -> Path:
    (root / "below").mkdir(parents=True)
    (root / "one.txt").write_text("one")
    (root / "below" / "two.bin").write_bytes(b"two" * 1000)
    return root


@pytest.fixture
def as_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody, root neither, opens a read-only file for writing or removes one."""
    opened, unlinked = os.open, os.unlink

    def refuse(path: Any, dir_fd: int | None = None) -> None:
        mode = os.stat(path, dir_fd=dir_fd, follow_symlinks=False).st_mode
        if stat.S_ISREG(mode) and not mode & 0o200:
            raise PermissionError(13, "Permission denied", str(path))

    def open_(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if flags & os.O_RDWR:
            refuse(path)
        return opened(path, flags, *args, **options)

    def unlink(path: Any, *, dir_fd: int | None = None) -> None:
        refuse(path, dir_fd)
        unlinked(path, dir_fd=dir_fd)

    monkeypatch.setattr(files, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "unlink", unlink)


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
    assert files.faults(folder, expected) == snapshot(
        (
            "one.txt: missing",
            "below/two.bin: 5 bytes, should be 3,000",
            "stranger: does not belong here",
        )
    )


def test_a_flipped_byte_shows_at_a_glance_because_the_time_changed(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a")
    expected = files.records(folder)
    files.seal(folder)
    (folder / "one.txt").chmod(0o644)
    (folder / "one.txt").write_text("onf")
    assert len(files.faults(folder, expected)) == 1


def test_a_copied_folder_is_complete_although_its_times_are_new(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a")
    expected = files.records(folder)
    assert files.faults(folder, expected) == ()


def test_a_missing_folder_is_missing_all_its_files(tmp_path: Path) -> None:
    expected = files.records(_folder(tmp_path / "a"))
    assert files.faults(tmp_path / "nowhere", expected) == ("below/two.bin: missing", "one.txt: missing")


@not_under_wine("its links are seen as what they lead to")
def test_a_symlink_has_no_place_in_a_folder_of_ours(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a")
    (folder / "link").symlink_to(folder / "one.txt")
    with pytest.raises(ValueError, match="neither a regular file nor a folder"):
        files.records(folder)


@not_on_windows("a file that is read-only cannot be removed there, by any of its names")
def test_sealed_files_cannot_be_written_by_accident(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a")
    files.seal(folder)
    assert not (folder / "one.txt").stat().st_mode & 0o222


def test_a_text_file_is_written_completely_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "text.json"
    files.write(target, "first\n")
    with pytest.raises(UnicodeEncodeError):
        files.write(target, "\ud800")
    assert target.read_text() == "first\n"
    assert list(target.parent.iterdir()) == [target]


def test_a_link_shares_the_bytes_and_is_not_a_symlink(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a")
    files.link(folder / "one.txt", tmp_path / "b" / "c" / "one.txt")
    assert (tmp_path / "b" / "c" / "one.txt").stat().st_ino == (folder / "one.txt").stat().st_ino
    assert not (tmp_path / "b" / "c" / "one.txt").is_symlink()


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    files.remove(tmp_path / "nothing")
    files.seal(_folder(tmp_path / "a"))
    files.remove(tmp_path / "a")
    assert not (tmp_path / "a").exists()


@not_on_windows("a file that is read-only cannot be removed there, by any of its names")
def test_a_link_or_a_copy_of_a_sealed_file_is_sealed_with_the_folder_it_was_put_into(tmp_path: Path) -> None:
    files.seal(_folder(tmp_path / "a"))
    files.link(tmp_path / "a" / "one.txt", tmp_path / "b" / "one.txt")
    (tmp_path / "b" / "new.txt").write_text("new")
    files.seal(tmp_path / "b")
    for name in ("one.txt", "new.txt"):
        status = (tmp_path / "b" / name).stat()
        assert (status.st_mtime_ns, stat.S_IMODE(status.st_mode)) == (files.SEALED_AT_NS, 0o444)


def test_on_windows_a_folder_with_links_to_what_is_sealed_is_sealed_and_removed_and_the_other_names_stay_as_they_were(
    tmp_path: Path, as_on_windows: None
) -> None:
    files.seal(_folder(tmp_path / "a"))
    before = (tmp_path / "a" / "one.txt").stat()
    files.link(tmp_path / "a" / "one.txt", tmp_path / "b" / "one.txt")
    (tmp_path / "b" / "of_a_tool.txt").write_text("it left this read-only")
    (tmp_path / "b" / "of_a_tool.txt").chmod(0o444)
    files.seal(tmp_path / "b")
    expected = files.records(tmp_path / "b")
    assert files.faults(tmp_path / "b", expected) == ()
    files.remove(tmp_path / "b")
    after = (tmp_path / "a" / "one.txt").stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


def test_on_windows_what_a_tool_left_read_only_is_removed_too(tmp_path: Path, as_on_windows: None) -> None:
    (_folder(tmp_path / "a") / "one.txt").chmod(0o444)
    files.remove(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_without_hard_links_a_copy_is_on_the_disk_and_looks_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    files.seal(_folder(tmp_path / "a"))
    files.link(tmp_path / "a" / "one.txt", tmp_path / "b" / "one.txt")
    one, other = (tmp_path / "a" / "one.txt").stat(), (tmp_path / "b" / "one.txt").stat()
    assert (one.st_mode, one.st_mtime_ns) == (other.st_mode, other.st_mtime_ns)
    assert other.st_ino in synced


@not_on_windows("there they are synced when they are sealed")
def test_new_files_are_written_to_the_disk_while_they_are_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, synced = _folder(tmp_path / "a"), list[int]()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    assert files.records_of_new(folder) == files.records(folder)
    assert sorted(synced) == sorted(path.stat().st_ino for path in files.walk(folder))


@not_on_windows("there they are synced when they are sealed")
def test_a_disk_that_is_full_is_noticed_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        files.records_of_new(_folder(tmp_path / "a"))


@not_on_windows("there are no pipes among files there")
def test_a_link_and_a_device_are_named_in_place_of_a_file_and_next_to_the_files(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a")
    expected = files.records(folder)
    (folder / "one.txt").unlink()
    (folder / "one.txt").symlink_to("/etc/hostname")
    (folder / "below" / "link").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    assert files.faults(folder, expected) == snapshot(
        (
            "below/link: is a link",
            "one.txt: is a link",
            "pipe: is neither a file nor a folder",
        )
    )


def test_a_file_and_a_link_are_removed_and_not_what_the_link_leads_to(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a")
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path / "link", tmp_path / "broken", folder / "one.txt"):
        files.remove(path)
        assert not path.is_symlink() and not path.exists()
    assert (folder / "below" / "two.bin").exists()
