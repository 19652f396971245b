"""The client that people have: SentenceTransformer loads what was published, with OpenVINO and with ONNX Runtime, and gives its vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support import delivering, minilm, qwen3, sampling
from tests.support import sentence_transformers_client as client
from tests.support.hub_write import Workshop
from tests.support.task_packages import FP16, INT8, PUBLISH, built, programs, publish, recipe

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("onnxruntime", "openvino")]

# The least cosine is that of ONNX in 8 bits on a processor without VNNI instructions, which cuts off sums: 0.987.
GOLDEN: dict[str, Any] = {"query": minilm.QUERY, "texts": [*minilm.TEXTS], "closest": minilm.TEXTS[0], "min_cosine": 0.98}
EXACT = {"ov_config": {"EXECUTION_MODE_HINT": "ACCURACY"}}
ONNX = {f"onnx-{weights}": {"runtime": "onnxruntime", "quantization": {"weights": weights}} for weights in ("fp32", "fp16", "int8")}
BUILDS: dict[str, Any] = {"fp16": FP16, "int8": INT8, "accurate": INT8 | {"runtime_options": EXACT["ov_config"]}, **ONNX}
SAMPLED = ("int8", "onnx-int8")
# By build: the client's backend, and what it is given to load it.
LOADED: dict[str, tuple[str, dict[str, Any]]] = {
    "fp16": ("openvino", EXACT),
    "int8": ("openvino", EXACT),
    "accurate": ("openvino", EXACT),
    "onnx-fp32": ("onnx", {}),
    "onnx-fp16": ("onnx", {"file_name": "model_fp16.onnx"}),
    "onnx-int8": ("onnx", {"file_name": "model_quantized.onnx"}),
}
NEAR = 1e-5  # numbers of a vector, which is 1 long, to those that validation recorded


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the builds are made."""
    made, builds = tmp_path_factory.mktemp("minilm"), sampling.made(request, BUILDS, SAMPLED)
    built(made, recipe("minilm", "embeddings", minilm.checkpoint(), [GOLDEN], builds, publish=PUBLISH))
    return made


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where builds of a tiny Qwen3-Embedding are made, with texts of several lengths."""
    made = tmp_path_factory.mktemp("qwen3")
    texts = [*minilm.TEXTS[:2], "Bread needs water and time. " * 60]
    golden = [{"query": qwen3.INSTRUCTION + minilm.QUERY, "texts": texts, "closest": texts[1]}]
    builds = {"fp16": FP16, "int8": INT8, "onnx-fp32": ONNX["onnx-fp32"]}
    exact = {
        name: build | ({"runtime_options": EXACT["ov_config"]} if build["runtime"] == "openvino" else {}) for name, build in builds.items()
    }
    built(made, recipe("qwen", "embeddings", qwen3.embedding(), golden, exact))
    return made


@pytest.mark.parametrize("build", sampling.cases(LOADED, SAMPLED))
def test_a_published_package_gives_the_vectors_that_were_recorded(build: str, folder: Path, workshop: Workshop, tmp_path: Path) -> None:
    name = f"minilm-{build}"
    fetched = publish(folder, name, workshop)
    texts, recorded = client.recorded(folder, name)
    backend, options = LOADED[build]
    found = client.embed(fetched, backend, options, texts, tmp_path / "home")
    assert found["loaded"] == {"openvino": "OVModelForFeatureExtraction", "onnx": "ORTModelForFeatureExtraction"}[backend]
    assert found["max_tokens"] == 256
    for vector, known in zip(found["vectors"], recorded.vectors, strict=True):
        assert vector == pytest.approx(known, abs=NEAR)


@pytest.mark.parametrize("build", sampling.cases(("int8", "accurate", "onnx-fp32", "onnx-int8"), SAMPLED))
def test_the_program_of_the_card_prints_what_the_runtimes_own_does(build: str, folder: Path, tmp_path: Path) -> None:
    package = folder / "artifacts" / "packages" / f"minilm-{build}"
    for_runtime, for_client = programs(package)
    of_runtime = delivering.run_python(for_runtime, package.parent, None, tmp_path / "home")
    of_client = delivering.run_python(for_client, package.parent, client.client(backend_of(build)), tmp_path / "home")
    lines, others = ([line.split("  ", 1) for line in printed.splitlines()] for printed in (of_client, of_runtime))
    assert [text for _, text in lines] == [text for _, text in others] and len(lines) == len(minilm.TEXTS)
    assert [float(cosine) for cosine, _ in lines] == pytest.approx([float(cosine) for cosine, _ in others], abs=0.0011)


def backend_of(build: str) -> str:
    """What the client calls the runtime of a build."""
    return "onnx" if build.startswith("onnx") else "openvino"


@pytest.mark.conformance
@pytest.mark.parametrize("build", ["fp16", "int8", "onnx-fp32"])
def test_a_model_of_the_last_token_gives_the_vectors_that_were_recorded(build: str, qwen: Path, tmp_path: Path) -> None:
    texts, recorded = client.recorded(qwen, f"qwen-{build}")
    options = EXACT if backend_of(build) == "openvino" else {}
    package = qwen / "artifacts" / "packages" / f"qwen-{build}"
    found = client.embed(package, backend_of(build), options, texts, tmp_path / "home")
    for vector, known in zip(found["vectors"], recorded.vectors, strict=True):
        assert vector == pytest.approx(known, abs=10 * NEAR)
