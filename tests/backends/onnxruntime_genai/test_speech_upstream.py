"""What the stock model builder and runtime do with a Whisper, without Bakehouse: what we work around or refuse. A test here that fails
says that upstream was fixed: take the workaround out, and change docs/concepts/tasks.md."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support import whisper

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("onnxruntime_genai")]

SCRIPT = """
import io, json, sys, wave
import numpy as np
import onnxruntime_genai as og
from onnxruntime_genai.models import builder

even, uneven, recording, folder, made = sys.argv[1:]
found = {}

def make(checkpoint, precision, provider):
    out = f"{folder}/{precision}-{provider}"
    options = builder.parse_extra_options(None, checkpoint, out, precision, provider, folder, [])
    builder.create_model(None, checkpoint, out, precision, provider, folder, **options)
    return out

def features(data):
    generator = og.Generator(model, og.GeneratorParams(model))
    generator.set_inputs(processor(["<|startoftranscript|>"], audios=og.Audios.open_bytes(data)))
    return generator.get_input("audio_features")[0]

try:
    make(uneven, "fp32", "cpu")
except IndexError as error:
    found["uneven"] = str(error)
config = og.Config(make(even, "fp16", "dml"))
config.clear_providers()
try:
    og.Model(config)
except RuntimeError as error:
    found["dml"] = str(error)

model = og.Model(make(even, "fp32", "cpu"))
processor = model.create_multimodal_processor()
with wave.open(recording) as file:
    parameters, said = file.getparams(), file.readframes(file.getnframes())
whole = io.BytesIO()
with wave.open(whole, "wb") as file:
    file.setparams(parameters)
    file.writeframes(said.ljust(2 * 30 * 16000, b"\\0"))
with open(recording, "rb") as file:
    apart = np.abs(features(file.read()) - features(whole.getvalue())).max(axis=0)
found["columns"] = np.nonzero(apart > 1e-3)[0].tolist()
with open(made, "w") as file:
    json.dump(found, file)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script found."""
    folder = tmp_path_factory.mktemp("upstream")
    words = (whisper.checkpoint(), whisper.uneven(), whisper.recording(), folder, folder / "found.json")
    subprocess.run([sys.executable, "-c", SCRIPT, *map(str, words)], check=True, capture_output=True)
    content: dict[str, Any] = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    return content


def test_the_builder_takes_no_encoder_with_more_layers_than_the_decoder_has(found: dict[str, Any]) -> None:
    assert "out of range" in found["uneven"]


def test_a_model_for_another_provider_does_not_load_on_the_cpu(found: dict[str, Any]) -> None:
    assert "DML provider requested" in found["dml"]


def test_the_end_of_a_recording_is_computed_before_it_is_filled_up(found: dict[str, Any]) -> None:
    assert found["columns"] == [1100, 1101]
