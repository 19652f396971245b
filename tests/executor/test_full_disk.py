"""A disk that fills up in the middle of a step: said with numbers, nothing half-written, and made once there is room."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil
import pytest

from tests.support import lanes, small_disk
from tests.support.bench import Bench, ran, wait_for
from tests.support.lanes import Lane

pytestmark = pytest.mark.model

# Who sees the full disk is the same code for all: of each of these runtimes one step is in `make test`.
SAMPLED = (("tiny-int4", "download"), ("tiny-int4", "export"), ("tiny-ort", "compress"))
STEPS = [
    pytest.param(lane, kind, id=f"{lane.name}-{kind}", marks=() if (lane.name, kind) in SAMPLED else pytest.mark.conformance)
    for lane in lanes.LANES
    for kind in ("download", "export", lane.compresses)
    if kind in lane.kinds
]
ROOM = "Free space (`bakehouse prune` removes what no recipe uses) or set PIPELINE_ARTIFACTS to a larger disk, and run it again."


def _stopped(doit: psutil.Popen, *, hooked: bool) -> psutil.Process:
    """doit's child, stopped: by itself before it writes, or from here while it still imports its tools."""
    wait_for(lambda: doit.children(), doit)
    (child,) = doit.children()
    if not hooked:
        child.suspend()
    wait_for(lambda: child.status() == psutil.STATUS_STOPPED, doit)
    return child


@pytest.mark.parametrize(("lane", "kind"), STEPS)
def test_a_full_disk_is_reported_with_numbers_and_the_step_is_made_with_more_room(
    lane: Lane, kind: str, tiny_checkpoint: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = lanes.baked(lane, tmp_path_factory, tiny_checkpoint)
    bench = Bench(tmp_path)
    shutil.copytree(whole.recipes, bench.recipes)
    with small_disk.mounted(bench.artifacts, lane.disk_mb) as disk:
        bench = small_disk.on(disk, bench)
        shutil.copytree(whole.artifacts, bench.artifacts, dirs_exist_ok=True)
        for one in (kind, "package", "../packages"):
            bench.drop(one)
        doit = (bench.killed_at("stop") if lane.hooked else bench).start(lane.task)
        child = _stopped(doit, hooked=lane.hooked)
        disk.fill()
        child.resume()
        assert doit.wait(120) == 1, bench.said
        label = lane.name if kind == lane.compresses else "tiny"
        assert f"{kind} of {label}: The disk is full: " in bench.said
        assert f" MB were written, and 0 MB are free now.\n  what to do: {ROOM}" in bench.said
        assert "Traceback" not in bench.said
        assert not bench.records(kind)
        left = [path for path in (bench.artifacts / ".staging").glob("*") if kind != "download"]
        assert not left
        assert not list((bench.artifacts / "failed").glob("*/*/files"))
        disk.empty()
        assert f"build:{lane.name}" in ran(bench.build(lane.task))
        assert lanes.bytes_of(bench.manifest(lane.name).files) == lanes.bytes_of(whole.manifest(lane.name).files)


def test_a_disk_that_is_full_from_the_start_is_refused_with_numbers_and_can_still_be_looked_at(
    baked: Bench, lane: Lane, tmp_path: Path
) -> None:
    bench = Bench(tmp_path)
    shutil.copytree(baked.recipes, bench.recipes)
    with small_disk.mounted(bench.artifacts, 0.5) as disk:
        bench = small_disk.on(disk, bench)
        disk.fill()
        assert f"build:{lane.name}" in bench.build("list")
        refused = bench.doit(lane.task)
        assert refused.returncode == 3
        assert refused.stderr == (
            f"ERROR: The artifacts folder {tmp_path / 'artifacts'} cannot be used: No space left on device.\n"
            "  what to do: Set PIPELINE_ARTIFACTS to a folder that can be written.\n"
        )
        disk.empty()
        refused = bench.doit(lane.task)
        assert refused.returncode == 3
        assert f"ERROR: {tmp_path / 'artifacts'}: About " in refused.stderr
        assert " of disk are needed and " in refused.stderr
        assert not (bench.artifacts / "store").exists()
