"""Two doit at one store at once: each step is made once, the one that waits says so, and both end well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import lanes
from tests.support.bench import Bench, ran, wait_for
from tests.support.lanes import Lane

pytestmark = [pytest.mark.model, lanes.sampled("openvino")]


def begin(bench: Bench, *args: str) -> Bench:
    """The same folders, with an output of its own."""
    other = Bench(bench.folder / "other", {**bench.env, "PIPELINE_RECIPES": str(bench.recipes), "PIPELINE_ARTIFACTS": str(bench.artifacts)})
    other.folder.mkdir()
    return other


def test_of_two_runs_each_makes_what_the_other_does_not(baked: Bench, lane: Lane, tmp_path: Path) -> None:
    bench = baked.copy(tmp_path / "bench")
    for kind in (lane.compresses, "validate", "package", "../packages"):
        bench.drop(kind)
    first = bench.start("build")
    wait_for(lambda: first.children(), first)  # at the first step that there is to do
    second = begin(bench)
    other = second.start("build")
    assert (first.wait(300), other.wait(300)) == (0, 0), f"{bench.said}\n{second.said}"
    assert "waiting for another run that is at this step" in second.said
    made = {kind: len(bench.records(kind)) for kind in (lane.compresses, "validate", "package")}
    assert made == {kind: len(baked.records(kind)) for kind in made}
    for kind in made:  # each log holds one command: it was made once
        for log in (bench.artifacts / "store" / kind).glob("*/log.txt"):
            assert sum(line.startswith("$ ") for line in log.read_text(encoding="utf-8").splitlines()) == 1
    for name in lane.names():
        assert lanes.bytes_of(bench.manifest(name).files) == lanes.bytes_of(baked.manifest(name).files)
    assert ran(bench.build("build")) == []
    assert not list((bench.artifacts / ".staging").iterdir())


def test_a_run_that_waited_in_vain_makes_the_step_itself(baked: Bench, lane: Lane, tmp_path: Path) -> None:
    bench = baked.copy(tmp_path / "bench")
    for kind in (lane.compresses, "package"):
        bench.drop(kind)
    first = bench.start(lane.task)
    wait_for(lambda: first.children(), first)
    second = begin(bench)
    other = second.start(lane.task)
    wait_for(lambda: "waiting for another run" in second.said, other)
    first.kill()
    first.wait(10)
    assert other.wait(300) == 0, second.said
    assert lanes.bytes_of(bench.manifest(lane.name).files) == lanes.bytes_of(baked.manifest(lane.name).files)


def test_pruning_leaves_alone_what_a_run_is_at(baked: Bench, lane: Lane, tmp_path: Path) -> None:
    bench = baked.copy(tmp_path / "bench")
    for kind in (lane.compresses, "package"):
        bench.drop(kind)
    run = bench.start(lane.task)
    wait_for(lambda: run.children(), run)
    assert f"in use   .staging/{lane.compresses}-" in bench.build("prune")
    assert run.wait(300) == 0, bench.said
