"""Whisper for ONNX Runtime GenAI: the real tiny.en, and one of several languages and uneven sides, built from recipes and run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bakehouse.app.main import main
from bakehouse.package import manifest
from tests.support import whisper
from tests.support.hub_write import Workshop
from tests.support.task_packages import PUBLISH, build, built, publish, recipe, run_card
from tests.tasks.speech.test_whisper import HEARD

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("onnxruntime_genai")]

CPU = {"runtime": "onnxruntime-genai", "execution_provider": "cpu"}
FP32 = {**CPU, "quantization": {"weights": "fp32"}}
INT8 = {**CPU, "quantization": {"weights": "int8"}}
INT4 = {**CPU, "quantization": {"weights": "int4", "op_types_to_quantize": ["MatMul", "Gather"]}}
FOLDER = {"fp32": "cpu_and_mobile/cpu-fp32", "int4": "cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4-embedding"}
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


def made(folder: Path, name: str, checkpoint: Path, golden: dict[str, Any], builds: dict[str, Any]) -> Path:
    (folder / "recipes").mkdir()
    shutil.copyfile(whisper.recording(), folder / "recipes" / "jfk.wav")
    return built(folder, recipe(name, "speech-recognition", checkpoint, [{"audio": "jfk.wav", **golden}], builds, publish=PUBLISH))


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of tiny.en."""
    folder = tmp_path_factory.mktemp("whisper")
    return made(folder, "whisper", whisper.checkpoint(), {"text": whisper.SAID}, {"fp32": FP32, "int4": INT4})


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of the one with several languages, whose language is found."""
    return made(tmp_path_factory.mktemp("uneven"), "uneven", whisper.uneven(), {"max_word_error": 1.0}, {"fp32": FP32, "int8": INT8})


def test_in_floating_point_every_token_is_the_sources(packages: Path, uneven: Path) -> None:
    for package in (packages / "whisper-fp32", uneven / "uneven-fp32"):
        (verdict,) = manifest.read(package).verdicts
        assert verdict.agreement.common_tokens == verdict.agreement.source_tokens == len(verdict.tokens) > 20


def test_a_card_says_what_was_heard(packages: Path) -> None:
    (verdict,) = manifest.read(packages / "whisper-int4").verdicts
    assert verdict.passed and verdict.transcript is not None and verdict.transcript.source.strip() == HEARD
    card = (packages / "whisper-int4" / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: automatic-speech-recognition" in card and "| jfk.wav | And so" in card and "the first 30 seconds are heard" in card
