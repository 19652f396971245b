"""The real Whisper tiny.en: built from a recipe in three precisions, compared with its source, and run by programs without Bakehouse."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bakehouse.app.main import main
from bakehouse.package import manifest
from tests.support import whisper
from tests.support.hub_write import Workshop
from tests.support.task_packages import FP16, INT8, PUBLISH, build, built, publish, recipe, run_card

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]

INT4 = {"runtime": "openvino", "quantization": {"weights": "int4", "group_size": 64, "ratio": 0.8}}
BUILDS = {"fp16": FP16, "int8": INT8, "int4": INT4}
PARAMETERS = (
    37_137_408  # of the embedding, all layers and both convolutions; biases, norms and position embeddings are no matrices that are used
)
HEARD = "And so my fellow Americans ask not what your country can do for you, ask what you can do for your country."


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of all builds."""
    folder = tmp_path_factory.mktemp("whisper")
    (folder / "recipes").mkdir()
    shutil.copyfile(whisper.recording(), folder / "recipes" / "jfk.wav")
    golden = [{"audio": "jfk.wav", "text": whisper.SAID}]
    return built(folder, recipe("whisper", "speech-recognition", whisper.checkpoint(), golden, BUILDS, publish=PUBLISH))


@pytest.mark.parametrize("build", BUILDS)
def test_each_package_says_what_it_heard_and_how_near_that_is(build: str, packages: Path) -> None:
    found = manifest.read(packages / f"whisper-{build}")
    (verdict,) = found.verdicts
    assert verdict.passed and verdict.transcript is not None and verdict.transcript.source.strip() == HEARD
    assert verdict.transcript.said_error == verdict.transcript.source_error == 0.0
    card = (packages / f"whisper-{build}" / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: automatic-speech-recognition" in card and "| jfk.wav | And so my fellow Americans" in card


def test_in_floating_point_every_token_is_the_sources(packages: Path) -> None:
    (verdict,) = manifest.read(packages / "whisper-fp16").verdicts
    assert verdict.agreement.common_tokens == verdict.agreement.source_tokens == len(verdict.tokens) == 24


def test_the_weights_of_encoder_and_decoder_are_counted(packages: Path) -> None:
    model = manifest.read(packages / "whisper-int8").measured["model"]
    exported = manifest.read(packages / "whisper-int8").measured["config"]
    for part in ("encoder", "decoder"):
        counted = model["parts"][part]["weights"]
        assert set(counted) == {"int8_asym"} and sum(counted.values()) == exported["parts"][part]["exported_weights"]
    assert model["weights"] == {"int8_asym": exported["exported_weights"]} and exported["exported_weights"] == PARAMETERS


def test_the_program_of_the_card_prints_what_is_said(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "whisper-int8").symlink_to(packages / "whisper-int8")
    shutil.copyfile(whisper.recording(), tmp_path / "recording.wav")
    assert run_card(packages / "whisper-int8", tmp_path).strip() == HEARD


def test_a_published_package_is_whole_and_hears_the_same(packages: Path, workshop: Workshop) -> None:
    fetched = publish(packages.parents[1], "whisper-int8", workshop)
    assert main(["check", str(fetched)]) == 0
    shutil.copyfile(whisper.recording(), fetched.parent / "recording.wav")
    assert run_card(fetched, fetched.parent).strip() == HEARD


def test_run_prints_what_is_said(packages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(packages / "whisper-int8"), str(whisper.recording())]) == 0
    assert capsys.readouterr().out == f"{HEARD}\n"


def test_run_refuses_what_is_no_recording(packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.wav").write_text("hello")
    assert main(["run", str(packages / "whisper-int8"), str(tmp_path / "a.wav")]) == 1
    assert "The recording cannot be used: it is not a WAV file" in capsys.readouterr().err


def test_a_recipe_of_another_text_fails_with_what_was_heard(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    shutil.copyfile(whisper.recording(), tmp_path / "recipes" / "jfk.wav")
    golden = [{"audio": "jfk.wav", "text": "The train to Paris leaves at noon."}]
    done = build(tmp_path, recipe("other", "speech-recognition", whisper.checkpoint(), golden, {"fp16": FP16}), packages.parent)
    assert done.returncode == 1
    assert "of the words are not what the recipe says, 5% may be (the source itself is wrong in" in done.stdout + done.stderr
