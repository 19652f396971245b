"""Whisper for ONNX Runtime GenAI: the real tiny.en, and one of several languages and uneven sides, built from recipes and run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bakehouse.app.main import main
from bakehouse.package import card, manifest
from tests.support import sampling, whisper
from tests.support.hub_write import Workshop
from tests.support.task_packages import PUBLISH, build, built, publish, recipe, run_card
from tests.tasks.speech.test_whisper import HEARD

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("onnxruntime_genai")]

CPU = {"runtime": "onnxruntime-genai", "execution_provider": "cpu"}
FP32 = {**CPU, "quantization": {"weights": "fp32"}}
INT8 = {**CPU, "quantization": {"weights": "int8"}}
INT4 = {**CPU, "quantization": {"weights": "int4", "op_types_to_quantize": ["MatMul", "Gather"]}}
FOLDER = {"int8": "cpu_and_mobile/cpu-int8-rtn-block-32-acc-level-4", "int4": "cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4-embedding"}
# What somebody writes who knows nothing of Bakehouse.
PLAIN = """
import sys
import onnxruntime_genai as og
model = og.Model(sys.argv[1])
processor = model.create_multimodal_processor()
generator = og.Generator(model, og.GeneratorParams(model))
generator.set_inputs(processor(["<|startoftranscript|><|notimestamps|>"], audios=og.Audios.open(sys.argv[2])))
while not generator.is_done():
    generator.generate_next_token()
print(processor.decode(generator.get_sequence(0)))
"""


def made(folder: Path, name: str, checkpoint: Path, golden: tuple[dict[str, Any], ...], builds: dict[str, Any]) -> Path:
    (folder / "recipes").mkdir()
    shutil.copyfile(whisper.recording(), folder / "recipes" / "jfk.wav")
    return built(
        folder, recipe(name, "speech-recognition", checkpoint, [{"audio": "jfk.wav", **one} for one in golden], builds, publish=PUBLISH)
    )


@pytest.fixture(scope="module")
def packages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of tiny.en."""
    folder = tmp_path_factory.mktemp("whisper")
    builds = sampling.made(request, {"int8": INT8, "int4": INT4}, ("int4",))
    return made(folder, "whisper", whisper.checkpoint(), ({"text": whisper.SAID},), builds)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of the one with several languages, of which it finds one and is given another."""
    golden = ({"max_word_error": 1.0}, {"max_word_error": 1.0, "language": "de"})
    return made(tmp_path_factory.mktemp("uneven"), "uneven", whisper.uneven(), golden, {"fp32": FP32})


def test_in_floating_point_every_token_is_the_sources(uneven: Path) -> None:
    verdicts = manifest.read(uneven / "uneven-fp32").verdicts
    assert len({verdict.tokens for verdict in verdicts}) == len(verdicts) == 2
    for verdict in verdicts:
        assert verdict.agreement.common_tokens == verdict.agreement.source_tokens == len(verdict.tokens) > 20


def test_tokens_are_held_back_as_by_the_source(uneven: Path) -> None:
    verdict, _ = manifest.read(uneven / "uneven-fp32").verdicts
    first, *others = verdict.tokens
    assert whisper.NEVER not in others and first != whisper.NOT_FIRST and whisper.NOT_FIRST in others


def test_a_card_says_what_was_heard(packages: Path) -> None:
    (verdict,) = manifest.read(packages / "whisper-int4").verdicts
    assert verdict.passed and verdict.transcript is not None and verdict.transcript.source.strip() == HEARD
    card = (packages / "whisper-int4" / "README.md").read_text(encoding="utf-8")
    assert (
        "pipeline_tag: automatic-speech-recognition" in card and "| jfk.wav | And so" in card and "the first 30 seconds are heard" in card
    )


@pytest.mark.parametrize("weights", sampling.cases(FOLDER, ("int4",)))
def test_a_program_without_bakehouse_writes_down_a_recording(weights: str, packages: Path) -> None:
    """The folder of a package as it is, and the recording as it is: without silence after it, its very end is heard a little otherwise."""
    folder = packages / f"whisper-{weights}" / FOLDER[weights]
    words = [sys.executable, "-c", PLAIN, str(folder), str(whisper.recording())]
    heard = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert heard.strip().replace(",", "") == HEARD.replace(",", "")


def test_the_weights_of_both_graphs_are_counted(packages: Path) -> None:
    found = manifest.read(packages / "whisper-int4").measured["model"]
    encoder, decoder = (found["parts"][name]["weights"] for name in ("encoder", "decoder"))
    hidden, layers, words = 384, 4, 51864
    attention = 3 * hidden * hidden * layers  # queries, keys and values, which the builder leaves in floating point
    assert encoder == {"fp32": attention + 3 * hidden * (80 + hidden), "int4": (1 + 4 + 4 + 2) * hidden * hidden * layers}
    assert decoder == {"int4": 2 * words * hidden + (4 + 2 + 4 + 4) * hidden * hidden * layers}
    assert found["languages"] == 0 and found["mended"] == {}


def test_more_layers_of_the_encoder_are_mended(uneven: Path) -> None:
    found = manifest.read(uneven / "uneven-fp32").measured["model"]
    assert found["mended"] == {"encoder": "keys and values for 1 layers of the decoder", "max_length": 32} and found["languages"] == 3


@pytest.mark.parametrize("weights", sampling.cases(FOLDER, ("int4",)))
def test_the_program_of_the_card_prints_what_is_said(weights: str, packages: Path, tmp_path: Path) -> None:
    (tmp_path / f"whisper-{weights}").symlink_to(packages / f"whisper-{weights}")
    shutil.copyfile(whisper.recording(), tmp_path / "recording.wav")
    (verdict,) = manifest.read(packages / f"whisper-{weights}").verdicts
    assert run_card(packages / f"whisper-{weights}", tmp_path).strip() == verdict.answer.strip()


def test_the_program_of_the_card_and_run_find_the_language(uneven: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(uneven / "uneven-fp32", tmp_path / "uneven-fp32")
    shutil.copyfile(whisper.recording(), tmp_path / "recording.wav")
    verdict, _ = manifest.read(uneven / "uneven-fp32").verdicts
    assert run_card(tmp_path / "uneven-fp32", tmp_path).strip() == verdict.answer.strip()
    assert main(["run", str(tmp_path / "uneven-fp32"), str(tmp_path / "recording.wav")]) == 0
    assert capsys.readouterr().out.strip() == verdict.answer.strip()


def test_the_program_of_a_card_may_name_the_language(uneven: Path, tmp_path: Path) -> None:
    """Where the first golden recording names one; here the second does."""
    package = tmp_path / "uneven-fp32"
    shutil.copytree(uneven / "uneven-fp32", package)
    found = manifest.read(package)
    build = found.build.model_copy(update={"golden": found.build.golden[::-1]})
    (package / "README.md").write_text(card.render(found.model_copy(update={"build": build})), encoding="utf-8")
    shutil.copyfile(whisper.recording(), tmp_path / "recording.wav")
    assert run_card(package, tmp_path).strip() == found.verdicts[1].answer.strip()


def test_a_published_package_is_whole_and_hears_the_same(packages: Path, workshop: Workshop) -> None:
    fetched = publish(packages.parents[1], "whisper-int4", workshop)
    (verdict,) = manifest.read(fetched).verdicts
    assert main(["check", str(fetched)]) == 0
    shutil.copyfile(whisper.recording(), fetched.parent / "recording.wav")
    assert run_card(fetched, fetched.parent).strip() == verdict.answer.strip()


def test_run_refuses_times_and_long_recordings(packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package, long = str(packages / "whisper-int4"), whisper.long_recording(tmp_path / "long.wav")
    assert main(["run", package, str(whisper.recording()), "--timestamps", "words"]) == 1
    assert "ONNX Runtime GenAI does not say when words are said" in capsys.readouterr().err.replace("\n", " ")
    assert main(["run", package, str(long)]) == 1
    assert "has 57.0 seconds, and ONNX Runtime GenAI hears 30" in capsys.readouterr().err.replace("\n", " ")


def test_times_and_long_recordings_are_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    whisper.long_recording(tmp_path / "recipes" / "long.wav")
    golden = [{"audio": "long.wav", "timestamps": "segments"}]
    done = build(tmp_path, recipe("whisper", "speech-recognition", whisper.uneven(), golden, {"fp32": FP32}))
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0 and "convert:" not in said
    assert "golden input 1: ONNX Runtime GenAI does not say when words are said" in said
    assert "golden input 1: the recording has 57.0 seconds, and ONNX Runtime GenAI hears 30" in said
