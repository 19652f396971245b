"""The runtime itself refuses the types of models that are refused before the work, whoever made them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bakehouse.backends.openvino.vision_language import FORM, UNKNOWN

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]

# Models that compute nothing: the runtime asks for the type before it looks at what they take.
LOAD = """
import json, sys
import numpy
import openvino
import openvino_genai
from openvino import opset13

states = opset13.parameter([-1, -1, 64], numpy.float32)
for name in ("language", "text_embeddings", "vision_embeddings"):
    openvino.save_model(openvino.Model([opset13.relu(states)], [states]), f"openvino_{name}_model.xml")
said = {}
for kind in json.loads(sys.argv[1]):
    with open("config.json", "w") as file:
        json.dump({"model_type": kind, "hidden_size": 64, "text_config": {}, "vision_config": {}}, file)
    try:
        openvino_genai.VLMPipeline(".", "CPU")
    except RuntimeError as error:
        said[kind] = str(error)
print(json.dumps(said))
"""


def test_the_runtime_has_none_of_the_types_that_are_refused(tmp_path: Path) -> None:
    taken = (*FORM.exportable, *FORM.elsewhere["transformers-5.0"], "qwen3_vl")
    ran = subprocess.run(
        [sys.executable, "-c", LOAD, json.dumps([*UNKNOWN, *taken])], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    said = json.loads(ran.stdout.splitlines()[-1])
    assert {kind for kind in UNKNOWN if f"Unsupported '{kind}' VLM model type" in said[kind]} == set(UNKNOWN)
    assert [kind for kind in taken if "VLM model type" in said[kind]] == []
