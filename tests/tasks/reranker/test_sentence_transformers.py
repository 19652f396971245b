"""The client that people have: CrossEncoder loads what was built, with OpenVINO and with ONNX Runtime, and gives its scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakehouse.package import manifest
from tests.support import minilm
from tests.support import sentence_transformers_client as client
from tests.support.task_packages import FP16, INT8, built, recipe
from tests.tasks.reranker.test_reranker import EXACT, GOLDEN

pytestmark = [pytest.mark.model, pytest.mark.conformance, pytest.mark.needs_backend("onnxruntime", "openvino")]

ONNX = {f"onnx-{weights}": {"runtime": "onnxruntime", "quantization": {"weights": weights}} for weights in ("fp32", "fp16")}
BUILDS: dict[str, Any] = {"fp16": FP16 | EXACT, "int8": INT8 | EXACT, **ONNX}
OPENVINO = {"ov_config": EXACT["runtime_options"]}
# By build: the client's backend, and what it is given to load it.
LOADED: dict[str, tuple[str, dict[str, Any]]] = {
    "fp16": ("openvino", OPENVINO),
    "int8": ("openvino", OPENVINO),
    "onnx-fp32": ("onnx", {}),
    "onnx-fp16": ("onnx", {"file_name": "model_fp16.onnx"}),
}
NEAR = 1e-4  # scores, between 0 and 1, to those that validation recorded


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of all builds."""
    return built(tmp_path_factory.mktemp("reranker"), recipe("ranks", "reranker", minilm.reranker(), GOLDEN, BUILDS))


@pytest.mark.parametrize("build", LOADED)
def test_a_package_gives_the_scores_that_were_recorded(build: str, packages: Path, tmp_path: Path) -> None:
    package = packages / f"ranks-{build}"
    backend, options = LOADED[build]
    for golden, verdict in zip(GOLDEN, manifest.read(package).verdicts, strict=True):
        assert verdict.ranking
        scores = client.rank(package, backend, options, golden["query"], golden["texts"], tmp_path / "home")
        assert scores == pytest.approx(verdict.ranking.scores, abs=NEAR)
