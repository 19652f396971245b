"""A child that holds more memory than it may is ended, with its descendants, and the error says how much it held."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bakehouse.errors import Failure
from bakehouse.executor.process import Children, run
from bakehouse.steps.maker import Command

HOLDS = "held = bytearray(b'x' * {megabytes} * 1_000_000)\nimport time\ntime.sleep({seconds})"
BY_ANOTHER = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', {program!r}], check=True)"


def _run(program: str, folder: Path, limit_megabytes: int | None) -> None:
    children = Children(limit_bytes=limit_megabytes and limit_megabytes * 1_000_000)
    command = Command((sys.executable, "-c", program))
    run(command, children=children, log=folder / "log.txt", scratch=folder / "scratch", on_progress=lambda progress: None)


@pytest.mark.parametrize("by_another", [False, True])
def test_a_child_beyond_its_limit_is_ended_with_its_own_children(tmp_path: Path, by_another: bool) -> None:
    program = HOLDS.format(megabytes=150, seconds=60)
    with pytest.raises(Failure, match=r"The child process held 0\.[1-9] GB of memory and was ended: it may hold 0\.1 GB here") as failed:
        _run(BY_ANOTHER.format(program=program) if by_another else program, tmp_path, 100)
    assert failed.value.remedy == "Make it on a machine or a worker with more memory."


@pytest.mark.whole
@pytest.mark.parametrize("limit_megabytes", [1000, None])
def test_a_child_within_its_limit_runs_to_its_end(tmp_path: Path, limit_megabytes: int | None) -> None:
    _run(HOLDS.format(megabytes=150, seconds=0.6), tmp_path, limit_megabytes)


def test_what_is_mapped_from_a_file_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"x" * 150_000_000)
    program = f"import mmap, time\nfile = open({str(tmp_path / 'weights')!r}, 'rb')\n"
    program += "held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)\nsum(held[::4096])\ntime.sleep(0.6)"
    _run(program, tmp_path, 100)


def test_a_step_on_a_worker_may_hold_what_the_worker_has(monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed

    from bakehouse.cluster.watching import Watch

    for has, limit in (({"MEM": 8e9, "wine": 1e6}, 8_000_000_000), ({}, None)):
        worker = SimpleNamespace(name="a", state=SimpleNamespace(total_resources=has), get_current_task=lambda: "key")
        monkeypatch.setattr(distributed, "get_worker", lambda worker=worker: worker)
        assert Watch().children.limit_bytes == limit
