"""`bakehouse search --cluster` with a real tiny model: workers measure candidates side by side, and the winner is that of one machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.support.bench import Bench, recipe
from tests.support.cluster import machines

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]

SEARCH = {"runtime": "openvino", "minimize": "kl_mean", "max_size": "600kB", "base": {"weights": "int4"}, "over": {"group_size": [32, 64]}}


@pytest.mark.conformance
def test_a_search_on_a_cluster_finds_the_winner_of_one_machine(tiny_checkpoint: Path, tmp_path: Path) -> None:
    written = []
    with machines(tmp_path / "cluster", "one", "two") as running:
        there = {"PIPELINE_REMOTE": running.shared_store, "PIPELINE_CLUSTER": running.address}
        for name, env in (("asker", there), ("alone", {})):
            bench = Bench(tmp_path / name).with_env(**env)
            bench.write(recipe(builds={"int8": {"runtime": "openvino", "quantization": {"weights": "int8"}}}, searches={"near": SEARCH}))
            bench.add_model(tiny_checkpoint)
            found = bench.doit("search", "tiny-near")
            assert found.returncode == 0, found.stdout + found.stderr
            written.append(yaml.safe_load((bench.recipes / "tiny.yaml").read_text(encoding="utf-8"))["builds"]["near"])
            if env:
                assert not bench.records("compress") and not bench.records("export"), "no model comes here"
                assert len(bench.records("fidelity")) >= 2
                assert list((bench.artifacts / ".staging" / "cluster").glob("convert-*.txt"))
    assert written[0] == written[1]


def test_a_search_for_the_fastest_build_is_not_for_a_cluster(tiny_checkpoint: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path).with_env(PIPELINE_REMOTE=f"file://{tmp_path}/shared")
    search = {**SEARCH, "minimize": "first_token", "bounds": {"kl_mean": 1}}
    del search["max_size"]
    bench.write(recipe(builds={"int8": {"runtime": "openvino", "quantization": {"weights": "int8"}}}, searches={"fast": search}))
    bench.add_model(tiny_checkpoint)
    found = bench.doit("search", "tiny-fast", "--cluster", "tcp://127.0.0.1:1")
    assert found.returncode == 1
    assert "`minimize: first_token` is measured on this machine, and a cluster is others." in found.stderr
