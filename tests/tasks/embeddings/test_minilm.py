"""The real MiniLM, out of a wheel on PyPI: built from a recipe in three precisions, and run by programs without Bakehouse."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bakehouse.app.main import main
from bakehouse.package import manifest
from tests.support import minilm
from tests.support.hub_write import Workshop
from tests.support.task_packages import FP16, INT8, PUBLISH, built, publish, recipe, run_card

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]

TEXTS = [*minilm.TEXTS]
GOLDEN: dict[str, Any] = {"query": minilm.QUERY, "texts": TEXTS, "closest": TEXTS[0]}
BUILDS = {
    "fp16": FP16,
    "int8": INT8,
    "int4": {"runtime": "openvino", "quantization": {"weights": "int4", "group_size": 64, "ratio": 0.8}},
}
LEAST = {"fp16": 0.9999, "int8": 0.995, "int4": 0.93}  # cosines to the source's vectors


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
    assert (found.build.task, found.validation.vector_size) == ("embeddings", 384)
    card = (packages / f"minilm-{build}" / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: feature-extraction" in card and f"{verdict.similarity.least_to_source:.4f}" in card


def test_a_published_package_is_whole_and_its_program_runs(packages: Path, workshop: Workshop) -> None:
    fetched = publish(packages.parents[1], "minilm-int8", workshop)
    assert main(["check", str(fetched)]) == 0
    assert run_card(fetched, fetched.parent) == run_card(packages / "minilm-int8", packages)


def test_the_program_of_the_card_prints_the_texts_with_their_cosines(packages: Path) -> None:
    name = "minilm-int8"
    lines = [line.split(None, 1) for line in run_card(packages / name, packages).splitlines()]
    assert [text.strip() for _, text in lines] == [text.strip() for text in TEXTS]
    assert float(lines[0][0]) > 0.6 > 0.2 > max(float(cosine) for cosine, _ in lines[1:3])


def test_a_program_without_bakehouse_gets_the_vectors_of_transformers(packages: Path, checkpoint: Path) -> None:
    """Written here once more: mean of the states, divided by its length."""
    program = f"""
import openvino_genai, torch, json
from transformers import AutoModel, AutoTokenizer
config = openvino_genai.TextEmbeddingPipeline.Config()
config.pooling_type, config.normalize = openvino_genai.TextEmbeddingPipeline.PoolingType.MEAN, True
config.max_length = 256
pipe = openvino_genai.TextEmbeddingPipeline("minilm-fp16", "CPU", config, EXECUTION_MODE_HINT="ACCURACY")
tokenizer, model = AutoTokenizer.from_pretrained({str(checkpoint)!r}), AutoModel.from_pretrained({str(checkpoint)!r})
found = []
for text in {TEXTS!r}:
    given = tokenizer(text, return_tensors="pt", truncation=True, max_length=256)
    with torch.inference_mode():
        mean = model(**given).last_hidden_state[0].mean(0)
    found.append([mean.tolist(), list(pipe.embed_query(text))])
print(json.dumps(found))
"""
    import json

    done = subprocess.run([sys.executable, "-c", program], cwd=packages, capture_output=True, text=True, check=True)
    for source, vector in json.loads(done.stdout.splitlines()[-1]):
        dot = sum(a * b for a, b in zip(source, vector, strict=True))
        assert dot / (math.hypot(*source) * math.hypot(*vector)) > 0.9999


def test_run_prints_the_texts_with_their_cosines_to_the_first(packages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(packages / "minilm-int8"), GOLDEN["query"], TEXTS[1], TEXTS[0]]) == 0
    lines = [line.split(None, 1) for line in capsys.readouterr().out.splitlines()]
    assert [text for _, text in lines] == [TEXTS[0], TEXTS[1]]
    assert float(lines[0][0]) > 0.6 > 0.2 > float(lines[1][0])


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["hello"], "An embedding model compares texts"),
        (["a", "b", "--temperature", "1"], "--temperature would have no effect on a model of embeddings"),
    ],
)
def test_words_that_it_cannot_use_are_refused(words: list[str], what: str, packages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(packages / "minilm-int8"), *words]) == 1
    assert what in capsys.readouterr().err


def test_what_is_for_models_that_write_text_says_so(packages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(packages / "minilm-int8")]) == 1
    assert "minilm-int8 is a model of embeddings, and writes no text" in capsys.readouterr().err
