"""A tiny cross-encoder of random weights: built from a recipe, compared with its source, and run by a program without Bakehouse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakehouse.app.main import main
from bakehouse.package import manifest
from tests.support import minilm
from tests.support.task_packages import FP16, INT8, built, recipe, run_card

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]

QUERY = "How do I bake bread?"
TEXTS = [
    "Mix flour, water and yeast, and bake the dough.",
    "The train to Paris leaves at noon.",
    "A compiler turns source code into machine code. " * 90,  # more tokens than the model takes
]
ORDER = [TEXTS[2], TEXTS[0], TEXTS[1]]  # of random weights, so by no one's judgement but transformers'
GOLDEN: dict[str, Any] = {"query": QUERY, "texts": TEXTS, "order": ORDER}
EXACT = {"runtime_options": {"EXECUTION_MODE_HINT": "ACCURACY"}}  # rounded to bfloat16, scores of random weights are 0.02 away
BUILDS = {"fp16": FP16 | EXACT, "int8": INT8 | EXACT}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of all builds."""
    return built(tmp_path_factory.mktemp("reranker"), recipe("ranks", "reranker", minilm.reranker(), [GOLDEN], BUILDS))


@pytest.mark.parametrize(("build", "most"), [("fp16", 0.002), ("int8", 0.05)])
def test_each_package_says_how_near_it_is_to_the_source(build: str, most: float, packages: Path) -> None:
    (verdict,) = manifest.read(packages / f"ranks-{build}").verdicts
    assert verdict.passed and verdict.ranking is not None and verdict.ranking.largest_difference <= most
    card = (packages / f"ranks-{build}" / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: text-ranking" in card and f"differs by at most {verdict.ranking.largest_difference:.4f}" in card


def test_the_source_scores_differ_enough_to_be_an_order(packages: Path) -> None:
    (verdict,) = manifest.read(packages / "ranks-fp16").verdicts
    assert verdict.ranking is not None
    first, second, third = sorted(verdict.ranking.of_source, reverse=True)
    assert first - second > 0.004 and second - third > 0.2


def test_the_program_of_the_card_prints_the_texts_with_their_scores(packages: Path) -> None:
    lines = [line.split(None, 1) for line in run_card(packages / "ranks-fp16", packages).splitlines()]
    assert [text.strip() for _, text in lines] == [text.strip() for text in ORDER]


def test_run_prints_the_texts_with_their_scores(packages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(packages / "ranks-fp16"), QUERY, TEXTS[1], TEXTS[0]]) == 0
    lines = [line.split(None, 1) for line in capsys.readouterr().out.splitlines()]
    assert [text for _, text in lines] == [TEXTS[0], TEXTS[1]] and 1 > float(lines[0][0]) > float(lines[1][0]) > 0


def test_a_recipe_of_another_order_fails(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    golden = [GOLDEN | {"order": [*TEXTS]}]
    with pytest.raises(AssertionError):
        built(tmp_path, recipe("ranks", "reranker", minilm.reranker(), golden, {"fp16": FP16}))
    assert "the order of the texts is" in "".join(capfd.readouterr())


def test_a_model_without_one_number_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AssertionError):
        built(tmp_path, recipe("ranks", "reranker", minilm.checkpoint(), [GOLDEN], {"fp16": FP16}))
    assert "by its config.json it gives 2 numbers (id2label), and a reranker gives one" in "".join(capfd.readouterr())
