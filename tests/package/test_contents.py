"""What lies in a package's folder: only what a hub's client really leaves is left aside, and nothing can hide or break the search."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.package.listing import look
from tests.support.systems import not_on_windows


def _put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    return folder


@pytest.mark.parametrize(
    "name",
    [
        ".gitattributes",
        ".cache/huggingface/.gitignore",
        ".cache/huggingface/CACHEDIR.TAG",
        ".cache/huggingface/download/below/model.bin.metadata",
        ".cache/huggingface/download/config.lock",
    ],
)
def test_what_the_hubs_client_leaves_stands_aside(tmp_path: Path, name: str) -> None:
    found = look(_put(tmp_path, name, "model.bin"))
    assert (found.own, found.extra, found.faults) == (("model.bin",), (name,), ())


@pytest.mark.parametrize(
    "name",
    [
        ".gitattributes_evil.py",
        "below/.gitattributes",
        ".gitattributes/code.py",
        ".cache/huggingface/code.py",
        ".cache/huggingface/download/code.py",
        ".cache/huggingface/download/x.incomplete",
        ".cache/huggingface.py",
        ".cache/other/x.metadata",
        "below/.cache/huggingface/CACHEDIR.TAG",
        ".git",
        ".github/x.yml",
        "below/.git/config",
    ],
)
def test_what_only_looks_like_it_is_the_packages_own_and_has_to_be_in_its_lists(tmp_path: Path, name: str) -> None:
    found = look(_put(tmp_path, name))
    assert (found.own, found.extra) == ((name,), ())


def test_a_clones_own_folder_is_named_and_not_looked_into(tmp_path: Path) -> None:
    assert look(_put(tmp_path, ".git/config", ".git/hooks/post-checkout", "a")).extra == (".git/",)


@pytest.mark.skipif(sys.platform == "win32", reason="a link takes a privilege there, and a file name is always Unicode")
def test_what_is_not_a_file_is_a_fault_and_no_link_is_followed(tmp_path: Path) -> None:
    package = _put(tmp_path / "package", "a")
    _put(tmp_path / "elsewhere", "download/x.metadata")
    (package / ".cache").mkdir()
    (package / ".cache" / "huggingface").symlink_to(tmp_path / "elsewhere")
    (package / ".git").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(package / "pipe")
    (package / os.fsdecode(b"odd\xff")).write_text("x")
    found = look(package)
    assert (found.own, found.extra) == (("a",), ())
    assert found.faults == snapshot(
        (
            ".cache/huggingface: neither a regular file nor a folder",
            ".git: neither a regular file nor a folder",
            "odd\udcff: its name is not Unicode",
            "pipe: neither a regular file nor a folder",
        )
    )


@pytest.mark.skipif(sys.platform != "linux", reason="how long a path may be differs")
def test_a_folder_too_deep_to_be_read_is_a_fault(tmp_path: Path) -> None:
    name, where = "d" * 250, os.open(tmp_path, os.O_RDONLY)
    for _ in range(17):  # 4,267 characters; the system takes 4,095 at once
        os.mkdir(name, dir_fd=where)
        where, above = os.open(name, os.O_RDONLY, dir_fd=where), where
        os.close(above)
    os.close(where)
    (fault,) = look(tmp_path).faults
    assert fault.startswith(f"{name}/{name}/") and fault.endswith(f"{name}: cannot be read: File name too long")


@not_on_windows("its paths end at 32,767 characters, and a folder has no descriptor")
def test_folders_nested_deeper_than_a_stack_are_looked_through(tmp_path: Path) -> None:
    depth = sys.getrecursionlimit() + 100
    where = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=where)
        where, above = os.open("d", os.O_RDONLY, dir_fd=where), where
        os.close(above)
    os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=where))
    os.close(where)
    try:
        assert look(tmp_path).own == ("d/" * depth + "x",)
    finally:  # shutil's own removal would not get there
        (tmp_path / ("d/" * depth) / "x").unlink()
        for level in range(depth, 0, -1):
            (tmp_path / ("d/" * level)).rmdir()
