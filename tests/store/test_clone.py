"""A copy is a file of its own with the same bytes, whatever the file system can."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bakehouse.store import clone, files
from tests.support.systems import IS_WINDOWS


@pytest.mark.parametrize("can", [True, False], ids=["as here", "no reflinks"])
def test_a_copied_tree_is_sealed_writable_and_shares_no_name(tmp_path: Path, can: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not can:
        monkeypatch.setattr(clone, "_FICLONE", 0)
    source, target = tmp_path / "a", tmp_path / "b"
    (source / "below").mkdir(parents=True)
    (source / "one.bin").write_bytes(bytes(range(256)) * 40_000)  # more than a block
    files.link(source / "one.bin", source / "below" / "one.bin")
    (source / "empty").touch()
    files.seal(source)
    assert clone.tree(source, target, files.records(source)) == ""
    assert files.faults(target, files.records(source), thorough=True) == ()
    found = [path.stat() for path in files.walk(target)]
    mode = 0o666 if IS_WINDOWS else 0o644
    assert {(status.st_mtime_ns, status.st_mode & 0o777, status.st_nlink) for status in found} == {(files.SEALED_AT_NS, mode, 1)}


def test_what_is_copied_is_hashed_and_what_shares_blocks_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"weights" * 20_000)
    digest = clone.copy(tmp_path / "a", tmp_path / "b")
    assert digest == (None if clone.can_share(tmp_path) else hashlib.sha256(b"weights" * 20_000).hexdigest())


def test_the_trial_leaves_nothing_and_a_folder_that_is_none_shares_nothing(tmp_path: Path) -> None:
    clone.can_share(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not clone.can_share(tmp_path / "nowhere")
