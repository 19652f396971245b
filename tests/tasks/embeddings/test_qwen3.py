"""A tiny Qwen3-Embedding of random weights: the state of the last token, and an instruction before queries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bakehouse.app.main import main
from bakehouse.package import manifest
from tests.support import qwen3
from tests.support.task_packages import FP16, INT8, built, recipe, run_card

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]

QUERY = "How do I bake bread?"
TEXTS = ["Mix flour, water and yeast, and bake the dough.", "The train to Paris leaves at noon.", "Bread needs water and time. " * 60]
EXACT = {"runtime_options": {"EXECUTION_MODE_HINT": "ACCURACY"}}  # rounded to bfloat16, vectors of random weights are further away
BUILDS = {"fp16": FP16 | EXACT, "int8": INT8 | EXACT}

# What users of the runtime write who have only the package: the pipeline itself puts the instruction before the query.
_PROGRAM = """
import json, sys
import openvino_genai

kind = openvino_genai.TextEmbeddingPipeline
config = kind.Config()
config.pooling_type, config.normalize, config.padding_side = kind.PoolingType.LAST_TOKEN, True, "left"
config.query_instruction = sys.argv[2]
pipeline = kind(sys.argv[1], "CPU", config, EXECUTION_MODE_HINT="ACCURACY")
print(json.dumps([list(pipeline.embed_query(sys.argv[3])), *map(list, pipeline.embed_documents(sys.argv[4:]))]))
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of both builds; which text is nearest is transformers' judgement, of random weights."""
    golden: list[dict[str, Any]] = [{"query": qwen3.INSTRUCTION + QUERY, "texts": TEXTS, "closest": TEXTS[1]}]
    return built(tmp_path_factory.mktemp("qwen3"), recipe("qwen", "embeddings", qwen3.embedding(), golden, BUILDS))


@pytest.mark.parametrize(("name", "least"), [("fp16", 0.999), ("int8", 0.99)])
def test_vectors_of_the_last_token_are_the_sources(name: str, least: float, packages: Path) -> None:
    found = manifest.read(packages / f"qwen-{name}")
    (verdict,) = found.verdicts
    assert verdict.passed and verdict.similarity is not None and verdict.similarity.least_to_source >= least
    assert found.validation.pooling is not None and (found.validation.pooling.mode, found.validation.pooling.normalize) == (
        "last_token",
        True,
    )


def test_the_runtime_with_the_instruction_of_the_checkpoint_gives_the_query_the_same_place(packages: Path) -> None:
    words = [str(packages / "qwen-fp16"), qwen3.INSTRUCTION, QUERY, *TEXTS]
    done = subprocess.run([sys.executable, "-c", _PROGRAM, *words], capture_output=True, text=True, check=True)
    query, *vectors = json.loads(done.stdout)
    cosines = [sum(a * b for a, b in zip(query, vector, strict=True)) for vector in vectors]
    (verdict,) = manifest.read(packages / "qwen-fp16").verdicts
    assert verdict.similarity is not None and cosines == pytest.approx(verdict.similarity.of_source, abs=0.002)


def test_the_card_keeps_the_instruction_and_its_program_runs(packages: Path) -> None:
    card = (packages / "qwen-int8" / "README.md").read_text(encoding="utf-8")
    assert "PoolingType.LAST_TOKEN" in card and 'padding_side = "left"' in card
    lines = run_card(packages / "qwen-int8", packages).splitlines()
    assert [line.split(None, 1)[1].strip() for line in lines] == [text.strip() for text in TEXTS]
    assert (packages / "qwen-int8" / "config_sentence_transformers.json").read_bytes() == (
        qwen3.embedding() / "config_sentence_transformers.json"
    ).read_bytes()


def test_run_compares_texts(packages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(packages / "qwen-int8"), qwen3.INSTRUCTION + QUERY, *TEXTS[:2]]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
