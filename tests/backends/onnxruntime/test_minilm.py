"""The real MiniLM as ONNX in three precisions: built from a recipe, and run by ONNX Runtime and Transformers.js without Bakehouse."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bakehouse.app.main import main
from bakehouse.package import manifest
from tests.support import delivering, minilm, sampling
from tests.support.hub_write import Workshop
from tests.support.task_packages import PUBLISH, built, publish, recipe, run_card

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("onnxruntime", "openvino")]

TEXTS = [*minilm.TEXTS]
# 7 bits are further away than builds in 8 bits may be without a bound of their own.
GOLDEN: dict[str, Any] = {"query": minilm.QUERY, "texts": TEXTS, "closest": TEXTS[0], "min_cosine": 0.98}
BUILDS: dict[str, Any] = {
    **{weights: {"runtime": "onnxruntime", "quantization": {"weights": weights}} for weights in ("fp32", "fp16", "int8")},
    "seven": {"runtime": "onnxruntime", "quantization": {"weights": "int8", "reduce_range": True}},
}
# Cosines to the source's vectors. In 8 bits: more than 0.99 with VNNI instructions, 0.987 on a processor without, which cuts off sums.
LEAST = {"fp32": 0.999999, "fp16": 0.9999, "int8": 0.98, "seven": 0.98}
GRAPHS = {"fp32": "model.onnx", "fp16": "model_fp16.onnx", "int8": "model_quantized.onnx", "seven": "model_quantized.onnx"}


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    return minilm.checkpoint()


@pytest.fixture(scope="module")
def packages(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of all builds."""
    return built(tmp_path_factory.mktemp("minilm"), recipe("minilm", "embeddings", checkpoint, [GOLDEN], BUILDS, publish=PUBLISH))


@pytest.mark.parametrize("build", BUILDS)
def test_each_package_says_how_near_it_is_to_the_source(build: str, packages: Path) -> None:
    found = manifest.read(packages / f"minilm-{build}")
    (verdict,) = found.verdicts
    assert verdict.passed and verdict.similarity is not None and verdict.similarity.least_to_source >= LEAST[build]
    assert (found.build.task, found.validation.vector_size, found.validation.in_use) == ("embeddings", 384, None)
    card = (packages / f"minilm-{build}" / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: feature-extraction" in card and f"{verdict.similarity.least_to_source:.4f}" in card


@pytest.mark.parametrize("build", BUILDS)
def test_a_package_has_the_layout_of_the_hubs_repositories(build: str, packages: Path) -> None:
    files = {path.relative_to(packages / f"minilm-{build}").as_posix() for path in (packages / f"minilm-{build}").rglob("*.*")}
    wanted = {
        "config.json",
        "modules.json",
        "1_Pooling/config.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert wanted <= files and [name for name in files if name.endswith(".onnx")] == [f"onnx/{GRAPHS[build]}"]


def test_every_weight_of_the_matrices_and_embeddings_is_counted(packages: Path) -> None:
    for build, kind in {"fp32": "fp32", "fp16": "fp16", "int8": "int8"}.items():
        measured = manifest.read(packages / f"minilm-{build}").measured
        assert measured["model"]["weights"] == {kind: measured["config"]["exported_weights"]}
        assert measured["config"]["left_out"] == ["pooler.dense.weight"]


def test_a_published_package_is_whole_and_its_program_runs(packages: Path, workshop: Workshop) -> None:
    fetched = publish(packages.parents[1], "minilm-int8", workshop)
    assert main(["check", str(fetched)]) == 0
    assert run_card(fetched, fetched.parent) == run_card(packages / "minilm-int8", packages)


@pytest.mark.parametrize("build", BUILDS)
def test_the_program_of_the_card_prints_the_texts_with_their_cosines(build: str, packages: Path) -> None:
    lines = [line.split(None, 1) for line in run_card(packages / f"minilm-{build}", packages).splitlines()]
    assert [text.strip() for _, text in lines] == [text.strip() for text in TEXTS]
    (verdict,) = manifest.read(packages / f"minilm-{build}").verdicts
    assert verdict.similarity is not None
    assert [float(cosine) for cosine, _ in lines] == pytest.approx(verdict.similarity.cosines, abs=0.0006)


def test_run_prints_the_texts_with_their_cosines_to_the_first(packages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(packages / "minilm-int8"), GOLDEN["query"], TEXTS[1], TEXTS[0]]) == 0
    lines = [line.split(None, 1) for line in capsys.readouterr().out.splitlines()]
    assert [text for _, text in lines] == [TEXTS[0], TEXTS[1]]
    assert float(lines[0][0]) > 0.6 > 0.2 > float(lines[1][0])


@delivering.needs_node
@pytest.mark.parametrize("build", sampling.cases(("fp32", "fp16", "int8"), ("int8",)))
def test_transformers_js_gives_the_vectors_of_transformers(build: str, packages: Path, checkpoint: Path, tmp_path: Path) -> None:
    """The library is given the package as it is; the source's vectors are written here once more: the mean of the states.

    Not the text that is too long: of one the library cuts off the last token, too, which ends every text (4.3.1).
    """
    kind = {"fp32": "fp32", "fp16": "fp16", "int8": "q8"}[build]
    in_node = f"""
import {{ env, pipeline }} from "@huggingface/transformers";
Object.assign(env, {{ allowRemoteModels: false, localModelPath: process.argv[2] }});
const embed = await pipeline("feature-extraction", "minilm-{build}", {{ dtype: "{kind}" }});
console.log(JSON.stringify((await embed({json.dumps(TEXTS[:3])}, {{ pooling: "mean", normalize: true }})).tolist()));
"""
    in_transformers = f"""
import json, torch
from transformers import AutoModel, AutoTokenizer
tokenizer, model = AutoTokenizer.from_pretrained({str(checkpoint)!r}), AutoModel.from_pretrained({str(checkpoint)!r})
found = []
for text in {TEXTS[:3]!r}:
    with torch.inference_mode():
        found.append(model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).tolist())
print(json.dumps(found))
"""
    found = json.loads(delivering.run_node(in_node, tmp_path, f"{packages}/").splitlines()[-1])
    done = subprocess.run([sys.executable, "-c", in_transformers], capture_output=True, text=True, check=True)
    for source, vector in zip(json.loads(done.stdout.splitlines()[-1]), found, strict=True):
        dot = sum(a * b for a, b in zip(source, vector, strict=True))
        assert dot / (math.hypot(*source) * math.hypot(*vector)) > LEAST[build]
