"""A file that is not what was made: `bakehouse check` names it and says how to repair it, and what it says does."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from bakehouse.records import StepRecord
from tests.support import lanes
from tests.support.bench import Bench, ran
from tests.support.lanes import Lane

pytestmark = [pytest.mark.model, lanes.sampled("openvino", "onnxruntime-genai")]


@pytest.fixture
def copy(baked: Bench, tmp_path: Path) -> Bench:
    return baked.copy(tmp_path / "copy")


def compressed(bench: Bench, lane: Lane) -> StepRecord:
    """The record of the step that made the weights."""
    return next(record for record in bench.records(lane.compresses) if record.label == lane.name)


def packaged(bench: Bench, lane: Lane) -> Path:
    """The package's folder."""
    return bench.artifacts / "packages" / lane.name


def weights(folder: Path, lane: Lane) -> Path:
    """The one file below a folder that holds the weights."""
    (path,) = folder.rglob(lane.weights)
    return path


def damage(path: Path, harm: str, *, quietly: bool = False) -> None:
    """Harm a file in place, so that all its names show it; quietly, as a rotting disk does: size and time stay."""
    before, times = path.read_bytes(), path.stat()
    after = before[:-1] if harm == "truncated" else bytes([before[0] ^ 1]) + before[1:]
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(after)
        file.truncate(len(after))
    if quietly:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_what_was_just_made_is_found_complete(baked: Bench, lane: Lane) -> None:
    assert re.search(r"\d+ files, [\d.]+ [kMG]B hashed: none damaged\n$", baked.build("check"))
    assert baked.build("check", lane.name).splitlines()[-2] == f"ok       packages/{lane.name}"


@pytest.mark.parametrize(
    ("place", "harm"),
    [("store", "truncated"), ("package", "flipped")],
)
def test_a_build_fixes_damage_that_shows_at_a_glance(copy: Bench, baked: Bench, lane: Lane, place: str, harm: str) -> None:
    record = compressed(copy, lane)
    folder = copy.artifacts / "store" / record.kind / record.key if place == "store" else packaged(copy, lane)
    damage(weights(folder, lane), harm)
    found = copy.doit("check", lane.name)
    assert found.returncode == 1
    size = weights(packaged(baked, lane), lane).stat().st_size
    what = f"{size - 1:,} bytes, should be {size:,}" if harm == "truncated" else "content changed (sha256 "
    # in the store that is one file with two names; the package has files of its own
    harmed = [f"convert:{lane.name}", f"package:{lane.name}"] if place == "store" else [f"packages/{lane.name}"]
    assert found.stdout.splitlines()[-1].endswith(f" hashed: {len(harmed)} damaged")
    for owner in harmed:
        assert re.search(rf"^damaged  {re.escape(owner)}: (\S*/)?{re.escape(lane.weights)}: {re.escape(what)}", found.stdout, re.MULTILINE)
    again = [f"convert:{lane.name}", f"package:{lane.name}"] if place == "store" else []
    assert ran(copy.build(lane.task)) == [*again, f"build:{lane.name}"]
    assert lanes.bytes_of(copy.manifest(lane.name).files) == lanes.bytes_of(baked.manifest(lane.name).files)
    assert copy.doit("check", lane.name).returncode == 0


def test_a_disk_that_rots_without_a_trace_is_found_and_fixed_by_what_verify_says(copy: Bench, baked: Bench, lane: Lane) -> None:
    record = compressed(copy, lane)
    for folder in (copy.artifacts / "store" / record.kind / record.key, packaged(copy, lane)):
        damage(weights(folder, lane), "flipped", quietly=True)
    found = copy.doit("check", lane.name)
    assert found.returncode == 1
    tasks = f"convert:{lane.name} package:{lane.name} build:{lane.name}"
    mend, last = found.stdout.splitlines()[-2:]
    assert mend == f"to repair it: bakehouse clean {tasks} && bakehouse build {tasks}"
    assert last.endswith(" hashed: 3 damaged")
    for command in mend.removeprefix("to repair it: ").split(" && "):
        copy.build(*shlex.split(command)[1:])
    assert copy.doit("check", lane.name).returncode == 0
    assert lanes.bytes_of(copy.manifest(lane.name).files) == lanes.bytes_of(baked.manifest(lane.name).files)


def test_a_missing_and_a_stray_file_in_a_package_are_named_and_the_next_build_puts_them_right(copy: Bench, lane: Lane) -> None:
    package = copy.artifacts / "packages" / lane.name
    (package / "recipe.yaml").unlink()
    (package / "notes.txt").write_text("mine", encoding="utf-8")
    found = copy.doit("check", lane.name)
    assert found.stdout.splitlines()[-4:-1] == [
        f"damaged  packages/{lane.name}: recipe.yaml: missing",
        f"damaged  packages/{lane.name}: notes.txt: does not belong here",
        f"to repair it: bakehouse clean build:{lane.name} && bakehouse build build:{lane.name}",
    ]
    assert ran(copy.build(lane.task)) == [f"build:{lane.name}"]
    assert copy.doit("check", lane.name).returncode == 0


def test_a_damaged_download_is_named_and_only_fetched_again_on_request(copy: Bench, lane: Lane) -> None:
    (record,) = copy.records("download")
    damage(copy.artifacts / "store" / "download" / record.key / "files" / "model.safetensors", "truncated")
    assert ran(copy.build("build")) == []
    found = copy.doit("check", lane.name)
    assert "to repair it: bakehouse clean download:tiny && bakehouse build download:tiny" in found.stdout
    assert ran(copy.build("download:tiny")) == ["download:tiny"]
    assert copy.doit("check", lane.name).returncode == 0
