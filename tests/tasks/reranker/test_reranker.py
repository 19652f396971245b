"""A tiny cross-encoder of random weights: built from a recipe, compared with its source, and run by a program without Bakehouse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakehouse.app.main import main
from bakehouse.package import manifest
from tests.support import minilm
from tests.support.hub_write import Workshop
from tests.support.task_packages import FP16, INT8, PUBLISH, build, built, publish, recipe, run_card

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]

QUERY = "How do I bake bread?"
DOUGH, TRAIN = "Mix flour, water and yeast, and bake the dough.", "The train to Paris leaves at noon."
LONG = "A compiler turns source code into machine code. " * 90  # more tokens than the model takes
# Of random weights, so in the order of no one's judgement but transformers'; the scores are 0.94 and 0.95 on one side, 0.46 on the other.
GOLDEN: list[dict[str, Any]] = [
    {"query": QUERY, "texts": [DOUGH, TRAIN], "best": DOUGH},
    {"query": QUERY, "texts": [TRAIN, LONG], "order": [LONG, TRAIN]},
]
EXACT = {"runtime_options": {"EXECUTION_MODE_HINT": "ACCURACY"}}  # rounded to bfloat16, scores of random weights are 0.02 away
BUILDS = {"fp16": FP16 | EXACT, "int8": INT8 | EXACT}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of all builds."""
    return built(tmp_path_factory.mktemp("reranker"), recipe("ranks", "reranker", minilm.reranker(), GOLDEN, BUILDS, publish=PUBLISH))


@pytest.mark.parametrize(("build", "most"), [("fp16", 0.005), ("int8", 0.05)])
def test_each_package_says_how_near_it_is_to_the_source(build: str, most: float, packages: Path) -> None:
    verdicts = manifest.read(packages / f"ranks-{build}").verdicts
    differences = [verdict.ranking.largest_difference for verdict in verdicts if verdict.ranking]
    assert all(verdict.passed for verdict in verdicts) and len(differences) == 2 and max(differences) <= most
    card = (packages / f"ranks-{build}" / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: text-ranking" in card and f"differs by at most {max(differences):.4f}" in card


def test_a_published_package_is_whole_and_its_program_runs(packages: Path, workshop: Workshop) -> None:
    fetched = publish(packages.parents[1], "ranks-fp16", workshop)
    assert main(["check", str(fetched)]) == 0
    assert run_card(fetched, fetched.parent) == run_card(packages / "ranks-fp16", packages)


def test_the_program_of_the_card_prints_the_texts_with_their_scores(packages: Path) -> None:
    lines = [line.split(None, 1) for line in run_card(packages / "ranks-fp16", packages).splitlines()]
    assert [text for _, text in lines] == [DOUGH, TRAIN]


def test_run_prints_the_texts_with_their_scores(packages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(packages / "ranks-fp16"), QUERY, TRAIN, DOUGH]) == 0
    lines = [line.split(None, 1) for line in capsys.readouterr().out.splitlines()]
    assert [text for _, text in lines] == [DOUGH, TRAIN] and 1 > float(lines[0][0]) > float(lines[1][0]) > 0


def test_a_recipe_of_another_best_text_fails(packages: Path, tmp_path: Path) -> None:
    golden = [{"query": QUERY, "texts": [DOUGH, TRAIN], "best": TRAIN}]
    done = build(tmp_path, recipe("other", "reranker", minilm.reranker(), golden, {"fp16": FP16}), packages.parent)
    assert done.returncode == 1
    assert f"the best text is {DOUGH!r}, should be {TRAIN!r}" in done.stdout + done.stderr


def test_a_model_without_one_number_is_refused(tmp_path: Path) -> None:
    done = build(tmp_path, recipe("ranks", "reranker", minilm.checkpoint(), GOLDEN, {"fp16": FP16}))
    assert done.returncode == 3
    assert "by its config.json it gives 2 numbers (id2label), and a reranker gives one" in done.stdout + done.stderr
