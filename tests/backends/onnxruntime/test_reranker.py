"""A tiny cross-encoder of random weights as ONNX: built from a recipe, compared with its source, and run by its card's program."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakehouse.app.main import main
from bakehouse.package import manifest
from tests.support import minilm
from tests.support.hub_write import Workshop
from tests.support.task_packages import PUBLISH, built, publish, recipe, run_card
from tests.tasks.reranker.test_reranker import DOUGH, GOLDEN, QUERY, TRAIN

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("onnxruntime", "openvino")]

# In 8 bits, scores of random weights are further away than a trained model's; in all 8 by 0.2 on a processor without VNNI instructions.
LOOSE = [{**one, "max_score_difference": 0.1} for one in GOLDEN]
BUILDS = {
    "fp32": {"runtime": "onnxruntime", "quantization": {"weights": "fp32"}},
    "fp16": {"runtime": "onnxruntime", "quantization": {"weights": "fp16"}},
    "int8": {"runtime": "onnxruntime", "quantization": {"weights": "int8", "reduce_range": True}},
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of all builds."""
    return built(tmp_path_factory.mktemp("reranker"), recipe("ranks", "reranker", minilm.reranker(), LOOSE, BUILDS, publish=PUBLISH))


@pytest.mark.parametrize(("build", "most"), [("fp32", 0.00001), ("fp16", 0.005), ("int8", 0.1)])
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


@pytest.mark.parametrize("build", BUILDS)
def test_the_program_of_the_card_prints_the_texts_with_their_scores(build: str, packages: Path) -> None:
    lines = [line.split(None, 1) for line in run_card(packages / f"ranks-{build}", packages).splitlines()]
    assert [text for _, text in lines] == [DOUGH, TRAIN]


def test_run_prints_the_texts_with_their_scores(packages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(packages / "ranks-int8"), QUERY, TRAIN, DOUGH]) == 0
    lines = [line.split(None, 1) for line in capsys.readouterr().out.splitlines()]
    assert [text for _, text in lines] == [DOUGH, TRAIN] and 1 > float(lines[0][0]) > float(lines[1][0]) > 0
