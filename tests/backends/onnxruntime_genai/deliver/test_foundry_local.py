"""Foundry Local is given a flat folder, and its real SDK registers, loads, asks and unloads the model by the folder's own README."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bakehouse.errors import Failure
from tests.support import delivering, lanes, standin

pytestmark = pytest.mark.needs_backend("openvino")

SDK = {
    "foundry-local-sdk==2.2.1": "b534b9d3700ab90c69986a817ee542da215fab62e0f13e2e27f05c53b3239154",
    "onnxruntime-genai-core==0.18.0": "8a29c0a3e517cdc7cac8809ee49c2b288f549fed6cdd31c08b53df06fd50460c",
    "onnxruntime==1.31.0": "d4092b78fc5bab77ce6522393098cdb2535423045ecdcff15cc0d022162d6b66",
}


def test_the_model_folder_becomes_the_folder_itself_with_a_name(tmp_path: Path) -> None:
    package = delivering.pack(tmp_path / "package", ("smollm2", "int4-ort-cpu"))
    record = delivering.deliver(package, "foundry-local", out := tmp_path / "out")
    top = {path.name for path in out.iterdir()}
    assert {"genai_config.json", "model.onnx", "model.onnx.data", "tokenizer.json", "chat_template.jinja", "MODEL_CARD.md"} <= top
    assert json.loads((out / "inference_model.json").read_text()) == {"Name": "smollm2-int4-ort-cpu", "PromptTemplate": None}
    assert not record.replaced


def test_a_bundle_of_several_models_is_refused_with_their_names(tmp_path: Path) -> None:
    package = delivering.pack(tmp_path / "package", ("phi3", "int4-ort-cpu"), ("phi3", "int4-ort-directml"))
    with pytest.raises(Failure, match=r"foundry-local takes one model, and phi3-onnx has 2: cpu_and_mobile/.*, directml/"):
        delivering.deliver(package, "foundry-local", tmp_path / "out")


@pytest.mark.model
@pytest.mark.skipif(sys.platform != "linux" or sys.version_info[:2] != (3, 11), reason="the pinned wheels are for Linux and Python 3.11")
def test_the_real_sdk_answers_by_the_program_of_the_readme(
    tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    baked = lanes.baked(lanes.ONNX, tmp_path_factory, tiny_checkpoint)
    delivering.deliver(baked.artifacts / "packages" / "tiny-ort", "foundry-local", out := tmp_path / "out")
    (program,) = delivering.blocks(out, "python")
    sdk = delivering.distributions("foundry-local", SDK)
    for _ in range(2):  # the second time it is registered already
        said = delivering.run_python(f"{program}\nprint(model.id, model.is_loaded)", out, sdk, tmp_path / "home")
        assert said == f"{standin.TINY_ANSWERS[standin.QUESTION]}\ntiny-ort:1 False"
