"""`bakehouse build --cluster` with real converters: the package is the one that a single machine makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import lanes
from tests.support.bench import ran
from tests.support.cluster import machines

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]


def test_a_build_on_a_cluster_is_the_build_of_one_machine(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path
) -> None:
    alone = lanes.baked(lanes.OPENVINO, tmp_path_factory, tiny_checkpoint)
    bench = lanes.fresh(lanes.OPENVINO, tmp_path / "asker", tiny_checkpoint)
    name = lanes.OPENVINO.name
    with machines(tmp_path / "cluster", "one", "two") as running:
        asker = bench.with_env(PIPELINE_REMOTE=running.shared_store, PIPELINE_CLUSTER=running.address)
        said = asker.build(f"build:{name}")
        assert "putting download of tiny into the shared store" in said
        assert ran(said)[-1] == f"build:{name}"
        assert lanes.bytes_of(bench.manifest(name).files) == lanes.bytes_of(alone.manifest(name).files)
        assert bench.manifest(name).key == alone.manifest(name).key
        # nothing of the way is here but what comes from here
        assert sorted(path.name for path in (bench.artifacts / "store").iterdir()) == ["download", "package"]
        again = lanes.fresh(lanes.OPENVINO, tmp_path / "second", tiny_checkpoint).with_env(**asker.env)
        assert ran(again.build(f"build:{name}")) == [f"package:{name}", f"build:{name}"]
