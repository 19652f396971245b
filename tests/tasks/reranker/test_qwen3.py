"""A tiny Qwen3-Reranker of random weights: the score is how likely it writes yes, and not no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakehouse.app.main import main
from bakehouse.package import manifest
from tests.support import qwen3
from tests.support.task_packages import FP16, INT8, build, built, recipe, run_card

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]

QUERY = "How do I bake bread?"
DOUGH, TRAIN, LONG = "Mix flour, water and yeast, and bake the dough.", "The train to Paris leaves at noon.", "A compiler. " * 80
# Of random weights, so in the order of no one's judgement but transformers'; the scores are 0.74, 0.48 and 0.15.
GOLDEN: list[dict[str, Any]] = [
    {"query": QUERY, "texts": [TRAIN, LONG, DOUGH], "order": [DOUGH, TRAIN, LONG]},
    {"query": QUERY, "texts": [TRAIN, DOUGH], "best": DOUGH, "instruction": "Find recipes"},
]
EXACT = {"runtime_options": {"EXECUTION_MODE_HINT": "ACCURACY"}}  # rounded to bfloat16, scores of random weights are further away
BUILDS = {"fp16": FP16 | EXACT, "int8": INT8 | EXACT}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of both builds."""
    return built(tmp_path_factory.mktemp("qwen3"), recipe("ranks", "reranker", qwen3.reranker(), GOLDEN, BUILDS))


@pytest.mark.parametrize(("name", "most"), [("fp16", 0.005), ("int8", 0.05)])
def test_scores_and_their_order_are_the_sources(name: str, most: float, packages: Path) -> None:
    first, second = manifest.read(packages / f"ranks-{name}").verdicts
    assert first.passed and second.passed and first.ranking is not None and second.ranking is not None
    assert max(first.ranking.largest_difference, second.ranking.largest_difference) <= most
    assert abs(first.ranking.of_source[0] - second.ranking.of_source[0]) > 0.001  # the instruction counts


def test_the_program_of_the_card_prints_the_scores_of_validation(packages: Path) -> None:
    lines = [line.split(None, 1) for line in run_card(packages / "ranks-fp16", packages).splitlines()]
    (ranking, _) = (verdict.ranking for verdict in manifest.read(packages / "ranks-fp16").verdicts)
    assert ranking is not None and [text.strip() for _, text in lines] == [DOUGH, TRAIN, LONG.strip()]
    assert sorted(float(score) for score, _ in lines) == pytest.approx(sorted(ranking.scores), abs=0.001)


def test_run_prints_the_texts_with_their_scores(packages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(packages / "ranks-fp16"), QUERY, TRAIN, DOUGH]) == 0
    assert [line.split(None, 1)[1] for line in capsys.readouterr().out.splitlines()] == [DOUGH, TRAIN]


def test_the_weights_are_counted_and_no_file_of_models_that_write_is_kept(packages: Path) -> None:
    found = manifest.read(packages / "ranks-int8").measured
    assert set(found["model"]["weights"]) == {"int8_asym"}
    assert not (packages / "ranks-int8" / "generation_config.json").exists()


def test_another_order_fails(packages: Path, tmp_path: Path) -> None:
    golden = [{"query": QUERY, "texts": [TRAIN, DOUGH], "best": TRAIN}]
    done = build(tmp_path, recipe("other", "reranker", qwen3.reranker(), golden, {"fp16": FP16 | EXACT}), packages.parent)
    assert done.returncode == 1 and f"the best text is {DOUGH!r}, should be {TRAIN!r}" in done.stdout + done.stderr
