"""Mapped files give their memory back, and nothing is read otherwise for it."""

from __future__ import annotations

import mmap
import sys
import time
from pathlib import Path

import pytest

from bakehouse.child import mapped

SIZE = 1 << 24
PAGE = mmap.PAGESIZE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux: other systems keep no list of pages")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file in which each page begins with a number of its own."""
    path = tmp_path / "weights.bin"
    path.write_bytes(b"".join(number.to_bytes(4, "little") + bytes(PAGE - 4) for number in range(SIZE // PAGE)))
    return path


def opened(path: Path, access: int = mmap.ACCESS_READ) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=access)


def read(memory: mmap.mmap) -> list[int]:
    """The number of each page: all of them are resident then."""
    return [int.from_bytes(memory[at : at + 4], "little") for at in range(0, len(memory), PAGE)]


def resident(path: Path) -> int:
    """Bytes of a file that this process has in memory."""
    found, ours = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        if not line.split(maxsplit=1)[0].endswith(":"):
            ours = line.endswith(f" {path}")
        elif ours and line.startswith("Rss:"):
            found += int(line.split()[1]) * 1024
    return found


def test_what_is_released_is_not_resident_and_reads_the_same(weights: Path) -> None:
    memory = opened(weights)
    before = read(memory)
    assert resident(weights) == SIZE
    mapped.release(weights.parent)
    assert resident(weights) == 0
    assert read(memory) == before == list(range(SIZE // PAGE))


def test_pages_that_were_written_to_keep_what_was_written(weights: Path) -> None:
    memory = opened(weights, mmap.ACCESS_COPY)
    memory[PAGE : PAGE + 4] = b"\xff\xff\xff\xff"
    read(memory)
    mapped.release(weights.parent)
    assert memory[PAGE : PAGE + 4] == b"\xff\xff\xff\xff"
    assert read(memory)[2] == 2


def test_files_of_other_folders_stay_resident(weights: Path, tmp_path: Path) -> None:
    (other := tmp_path / "other").mkdir()
    memory = opened(weights)
    read(memory)
    mapped.release(other)
    assert resident(weights) == SIZE


def test_more_than_so_much_does_not_stay_resident(weights: Path) -> None:
    memory = opened(weights)
    with mapped.kept_small(weights.parent, most_bytes=SIZE // 4):
        read(memory)
        until = time.monotonic() + 10
        while resident(weights) > SIZE // 4 and time.monotonic() < until:
            time.sleep(0.01)
        assert resident(weights) <= SIZE // 4
    read(memory)
    time.sleep(0.1)
    assert resident(weights) == SIZE
