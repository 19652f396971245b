"""OpenVINO's graphs compute scaled rotary embeddings as transformers does, also beyond the length that they are scaled from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.openvino.seams import ExportRequest
from bakehouse.steps.maker import worker
from tests.support import cases
from tests.support.ort_logits import tokens
from tests.support.worker import run

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("onnxruntime_genai")]


def exported(checkpoint: Path, files: Path) -> Any:
    """The compiled graph, in float32."""
    import openvino

    request = ExportRequest(checkpoint=checkpoint, files=files, remote_code=False)
    assert run(worker("backends.openvino.workers.export", request=request)).code == 0
    options = {"EXECUTION_MODE_HINT": "ACCURACY", "INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(files / "openvino_model.xml", "CPU", options)


def logits(compiled: Any, ids: list[int]) -> Any:
    """Of all positions of one prompt."""
    import numpy

    inputs = {
        "input_ids": numpy.array([ids]),
        "attention_mask": numpy.ones((1, len(ids)), numpy.int64),
        "position_ids": numpy.arange(len(ids))[None],
        "beam_idx": numpy.zeros(1, numpy.int32),
    }
    request = compiled.create_infer_request()
    return request.infer(inputs)["logits"][0]


def test_dynamic_scaling_follows_the_length_of_the_prompt(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    checkpoint = cases.folder("rope-dynamic")  # of a context of 64
    compiled = exported(checkpoint, tmp_path)
    for length in (40, 64, 65, 200):
        source = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()  # once grown, its embeddings stay so
        with torch.inference_mode():
            wanted = source(torch.tensor([tokens(length)])).logits[0].numpy()
        assert abs(logits(compiled, tokens(length)) - wanted).max() < 1e-3, length
