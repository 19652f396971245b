"""Embedding models and Whisper in the NPU's pipelines of openvino_genai: graphs of fixed shape, which NPUW runs on the CPU here."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from bakehouse.app.main import main
from bakehouse.package import manifest
from tests.support import minilm, sampling, whisper
from tests.support.hub_write import Workshop
from tests.support.task_packages import PUBLISH, build, built, publish, recipe, run_card
from tests.tasks.embeddings.test_minilm import GOLDEN, TEXTS
from tests.tasks.speech.test_whisper import HEARD

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino", "openvino_npu")]

FP16 = {"runtime": "openvino-npu", "quantization": {"weights": "fp16"}}
INT8 = {"runtime": "openvino-npu", "quantization": {"weights": "int8"}}
KEPT = (("embedding", "minilm-int8"), ("speech", "whisper-fp16"))
ON_CPU = "NPU_USE_NPUW='YES', NPUW_DEVICES='CPU', EXECUTION_MODE_HINT='ACCURACY'"  # what a machine without an NPU has in its place


@pytest.fixture(scope="module")
def embedding(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of MiniLM; the longest text of one of them is the recipe's."""
    builds = sampling.made(request, {"fp16": FP16, "int8": {**INT8, "max_length": 64}}, ("int8",))
    golden = [{**GOLDEN, "texts": TEXTS[:3]}]
    return built(tmp_path_factory.mktemp("minilm"), recipe("minilm", "embeddings", minilm.checkpoint(), golden, builds, publish=PUBLISH))


@pytest.fixture(scope="module")
def speech(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of Whisper."""
    folder = tmp_path_factory.mktemp("whisper")
    (folder / "recipes").mkdir()
    shutil.copyfile(whisper.recording(), folder / "recipes" / "jfk.wav")
    golden = [{"audio": "jfk.wav", "text": whisper.SAID}]
    builds = sampling.made(request, {"fp16": FP16, "int8": INT8}, ("fp16",))
    return built(folder, recipe("whisper", "speech-recognition", whisper.checkpoint(), golden, builds, publish=PUBLISH))


def in_place_of_the_npu(package: Path, folder: Path) -> str:
    """What the program of a card prints with the pipeline's graphs on the CPU; nothing else of it is changed."""
    copy = folder / "copy" / package.name
    shutil.copytree(package, copy)
    card = (copy / "README.md").read_text(encoding="utf-8")
    assert card.count('CACHE_DIR=".npucache"') == 1
    (copy / "README.md").write_text(card.replace('CACHE_DIR=".npucache"', ON_CPU), encoding="utf-8")
    return run_card(copy, folder / "copy")


@pytest.mark.parametrize(
    ("name", "least", "length"), sampling.cases((("fp16", 0.9999, "256"), ("int8", 0.99, "64")), (("int8", 0.99, "64"),))
)
def test_vectors_of_the_fixed_graph_are_the_sources(name: str, least: float, length: str, embedding: Path) -> None:
    found = manifest.read(embedding / f"minilm-{name}")
    (verdict,) = found.verdicts
    assert verdict.passed and verdict.similarity is not None and verdict.similarity.least_to_source >= least
    assert found.validation.runtime_options["max_length"] == length and found.validation.runtime_options["batch_size"] == "1"


def test_in_floating_point_every_token_of_the_fixed_graphs_is_the_sources(speech: Path) -> None:
    (verdict,) = manifest.read(speech / "whisper-fp16").verdicts
    assert verdict.agreement.common_tokens == verdict.agreement.source_tokens == len(verdict.tokens) == 24


@pytest.mark.parametrize(("kind", "name"), sampling.cases((*KEPT, ("speech", "whisper-int8")), KEPT))
def test_manifest_and_card_say_that_no_npu_has_run_it(kind: str, name: str, request: pytest.FixtureRequest) -> None:
    package = request.getfixturevalue(kind) / name
    found = manifest.read(package)
    assert (found.targets, found.unproven, found.validation.stand_in) == (("NPU",), ("NPU",), True)
    assert "running the NPU pipeline's graphs" in found.validation.device_name
    assert "It has **not** been run on NPU." in (package / "README.md").read_text(encoding="utf-8")


def test_the_program_of_an_embedding_card_prints_the_texts_with_their_cosines(embedding: Path, tmp_path: Path) -> None:
    lines = [line.split(None, 1) for line in in_place_of_the_npu(embedding / "minilm-int8", tmp_path).splitlines()]
    assert [text for _, text in lines] == TEXTS[:3]
    assert float(lines[0][0]) > 0.6 > 0.2 > max(float(cosine) for cosine, _ in lines[1:])


def test_the_program_of_a_speech_card_prints_what_is_said(speech: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    shutil.copyfile(whisper.recording(), tmp_path / "copy" / "recording.wav")
    assert in_place_of_the_npu(speech / "whisper-fp16", tmp_path).strip() == HEARD


def test_a_published_package_is_whole(embedding: Path, workshop: Workshop) -> None:
    assert main(["check", str(publish(embedding.parents[1], "minilm-int8", workshop))]) == 0


def test_run_wants_the_npu_and_takes_the_cpu_where_it_is_named(embedding: Path, speech: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words: list[tuple[str, list[str]]] = [
        (str(embedding / "minilm-int8"), [GOLDEN["query"], TEXTS[0]]),
        (str(speech / "whisper-fp16"), [str(whisper.recording())]),
    ]
    for package, given in words:
        assert main(["run", package, *given]) == 1
        assert "OpenVINO finds no NPU on this machine" in capsys.readouterr().err
        assert main(["run", package, *given, "--device", "CPU"]) == 0
        assert capsys.readouterr().out.strip().endswith((TEXTS[0], HEARD))
        assert main(["run", package, *given, "--device", "GPU"]) == 1
        assert "A model for the NPU is not run on a GPU" in capsys.readouterr().err


def test_a_wrong_answer_fails_although_the_cpu_only_stands_in(embedding: Path, tmp_path: Path) -> None:
    golden: list[dict[str, Any]] = [{**GOLDEN, "texts": TEXTS[:3], "closest": TEXTS[1]}]
    other = recipe("other", "embeddings", minilm.checkpoint(), golden, {"int8": {**INT8, "max_length": 64}})
    done = build(tmp_path, other, embedding.parent)
    assert done.returncode == 1 and f"the nearest text is {TEXTS[0]!r}, should be {TEXTS[1]!r}" in done.stdout + done.stderr
