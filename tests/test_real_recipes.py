"""recipes/phi3.yaml as it is, built by the real doit from download to package; a local hub serves a stand-in at the recipe's own commit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bakehouse.recipe import loader
from tests.support import hub as hubs
from tests.support import standin
from tests.support.bench import ROOT, Bench, ran

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino", "onnxruntime_genai")]

PHI3 = loader.load(ROOT / "recipes" / "phi3.yaml")
OPENVINO = [f"phi3-{name}" for name, build in PHI3.builds.items() if build.runtime == "openvino"]
ONNX = [f"phi3-{name}" for name, build in PHI3.builds.items() if build.runtime == "onnxruntime-genai"]
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.fixture(scope="module")
def hub(phi3_checkpoint: Path) -> Iterator[hubs.Hub]:
    """A hub that has the stand-in where the recipe looks for the model."""
    hub, server = hubs.start()
    hub.serve(phi3_checkpoint, standin.PHI3_REPO, standin.PHI3_COMMIT)
    yield hub
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def bench(hub: hubs.Hub, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The recipes of this repository, nothing made."""
    folder = tmp_path_factory.mktemp("phi3")
    env = {"PIPELINE_RECIPES": str(ROOT / "recipes"), "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "0"}
    return Bench(folder, env)


@pytest.fixture(scope="module")
def first(bench: Bench) -> str:
    """What doit printed when it made the first build of all."""
    return bench.build("build:phi3-int4-openvino")


def test_the_recipe_is_pinned_to_the_commit_that_is_served() -> None:
    assert (PHI3.source.type, PHI3.source.repo, PHI3.source.revision) == ("huggingface", standin.PHI3_REPO, standin.PHI3_COMMIT)


def test_one_command_goes_from_download_to_a_package_that_answers_paris(bench: Bench, first: str, hub: hubs.Hub) -> None:
    tasks = ran(first)
    assert (tasks[0], tasks[-2:]) == ("download:phi3", ["package:phi3-int4-openvino", "build:phi3-int4-openvino"])
    assert set(tasks[1:-2]) == {
        *("export:phi3", "export:phi3-tokenizer", "convert:phi3-int4-openvino", "validate:phi3-reference", "validate:phi3-int4-openvino"),
        *("validate:phi3-logits", "validate:phi3-numeric", "validate:phi3-fidelity-reference", "validate:phi3-int4-openvino-fidelity"),
    }
    manifest = bench.manifest("phi3-int4-openvino")
    assert "Paris" in manifest.verdicts[0].answer
    assert manifest.verdicts[0].ended
    table = next(line for line in first.splitlines() if line.startswith("phi3-int4-openvino "))
    assert table.split()[:4] == ["phi3-int4-openvino", "11", "of", "11"] and "Paris" in table
    for shard in SHARDS:
        assert hub.sent[shard] >= (hub.repos[("model", standin.PHI3_REPO, standin.PHI3_COMMIT)][shard]).size
    measured = manifest.measured["model"]
    assert measured["group_sizes"] == [128]
    assert not list((bench.artifacts / "packages" / "phi3-int4-openvino").glob("*.py")), "code of the repository was taken along"


@pytest.mark.conformance
def test_the_other_openvino_builds_need_no_further_byte_and_no_further_export(bench: Bench, first: str, hub: hubs.Hub) -> None:
    before = dict(hub.sent)
    bench.build(*(f"build:{name}" for name in OPENVINO))
    assert dict(hub.sent) == before
    made = {kind: len(bench.records(kind)) for kind in ("download", "export", "tokenizer", "reference", "compress")}
    assert made == {"download": 1, "export": 1, "tokenizer": 1, "reference": 1, "compress": len(OPENVINO)}
    for name in OPENVINO:
        assert "Paris" in bench.manifest(name).verdicts[0].answer
        assert bench.manifest(name).validation.runtime_options == {"EXECUTION_MODE_HINT": "ACCURACY"}


@pytest.mark.conformance
@pytest.mark.parametrize("name", ONNX)
def test_builds_for_onnx_runtime_are_made_of_the_same_download(bench: Bench, first: str, hub: hubs.Hub, name: str) -> None:
    before = dict(hub.sent)
    bench.build(f"build:{name}")
    assert dict(hub.sent) == before
    assert (len(bench.records("download")), len(bench.records("reference"))) == (1, 1)
    assert "Paris" in bench.manifest(name).verdicts[0].answer
