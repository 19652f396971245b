"""`search` on a real tiny model: layers are measured, candidates made, and the winner is written into the recipe as an ordinary build."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.support.bench import Bench, recipe

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]

SEARCH = {
    "runtime": "openvino",
    "minimize": "kl_mean",
    "max_size": "510kB",
    "rank_layers": "measured",
    "base": {"group_size": 64},
    "over": {"ratio": [0.5, 0.9]},
}


def test_a_search_writes_the_layers_that_keep_8_bits_and_the_build_makes_nothing_anew(tiny_checkpoint: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write(recipe(builds={"int8": {"runtime": "openvino", "quantization": {"weights": "int8"}}}, searches={"near": SEARCH}))
    bench.add_model(tiny_checkpoint)
    planned = bench.build("search", "tiny-near", "--plan")
    assert "ratio 0.5" in planned and "ratio 0.9" in planned
    assert not bench.records("sensitivity"), "a plan measures nothing"

    found = bench.doit("search", "tiny-near")
    assert found.returncode == 0 and "Written into tiny.yaml as the build near" in found.stderr, found.stdout + found.stderr
    (measured,) = bench.records("sensitivity")
    written = yaml.safe_load((bench.recipes / "tiny.yaml").read_text(encoding="utf-8"))["builds"]["near"]["quantization"]
    assert written["weights"] == "int4" and written["backup_scope"]["names"]
    assert "ratio" not in written or written["ratio"] == 1.0

    again = bench.doit("search", "tiny-near")
    assert again.returncode == 0 and "The recipe has it already, as the build near." in again.stderr
    compressed = {record.key for record in bench.records("compress")}
    bench.build("build:tiny-near")
    assert {record.key for record in bench.records("compress")} == compressed
    assert bench.manifest("tiny-near").fidelity is not None
    assert len(measured.files) == 1


@pytest.mark.conformance
def test_the_fastest_candidate_within_the_bounds_is_built_and_measured(tiny_checkpoint: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    fastest = {"runtime": "openvino", "minimize": "tokens_per_s", "bounds": {"kl_mean": 5}, "base": {"weights": "int4"}}
    search = {**fastest, "over": {"group_size": [32, 64]}}
    bench.write(recipe(builds={"int8": {"runtime": "openvino", "quantization": {"weights": "int8"}}}, searches={"fast": search}))
    bench.add_model(tiny_checkpoint)
    found = bench.doit("search", "tiny-fast")
    assert found.returncode == 0 and "Written into tiny.yaml as the build fast" in found.stderr, found.stdout + found.stderr
    speeds = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((bench.artifacts / "bench").iterdir())]
    assert [one["name"] for one in speeds] == ["tiny-fast-001", "tiny-fast-002"]
    assert all(one["lengths"][0]["tokens_per_s"] > 0 for one in speeds)
    assert len(bench.records("package")) == 2
