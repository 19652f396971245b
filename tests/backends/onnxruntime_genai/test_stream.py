"""A model has the bytes that it has otherwise when large matrices are quantized in parts, and what memory does not hold waits in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from tests.support.ort_making import build, sha256, spec

pytestmark = pytest.mark.model

INT4 = {"weights": "int4"}
BUILDS: dict[str, OnnxRuntimeGenAI] = {
    "int4": build(**INT4),
    "int4 asymmetric": build(**INT4, symmetric=False),
    "int4 rounded to nearest": build(**INT4, algorithm="rtn", symmetric=False),
    "int4 k_quant": build(**INT4, algorithm="k_quant"),
    "int4, the last in 8 bits": build(**INT4, matmul_mixed_precision={"last_matmul": "int8"}),
    "int4 fp16": build("webgpu", **INT4),
    "int8": build(weights="int8"),
}
FEW = 1 << 13  # the tiny model's matrices have 16,384 weights and more


@pytest.mark.parametrize("name", BUILDS)
def test_parts_of_a_matrix_have_the_bytes_of_the_whole(
    name: str, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime_genai.models  # noqa: F401  it puts the builder's own modules on sys.path
    from builders.base import Model

    from bakehouse.backends.onnxruntime_genai.workers import build as ort_build
    from bakehouse.backends.onnxruntime_genai.workers import shelf, stream

    calls, original = 0, Model.to_nbits

    def counted(builder: Any) -> Any:
        nonlocal calls
        calls += 1
        return original(builder)

    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path))  # the worker sets it for the rest of its process
    monkeypatch.setattr(Model, "to_nbits", stream.streamed(counted, tmp_path, lambda: None))
    ort_build.build(tiny_checkpoint, tmp_path / "whole", spec(BUILDS[name]))
    at_once, calls = calls, 0
    assert not (tmp_path / "quantized").exists()
    monkeypatch.setattr(stream, "TOGETHER", FEW)
    monkeypatch.setattr(shelf, "KEPT_BYTES", 4 * FEW)
    ort_build.build(tiny_checkpoint, tmp_path / "parts", spec(BUILDS[name]))
    assert calls > 2 * at_once > 0 and (tmp_path / "quantized").stat().st_size > FEW
    for file in ("model.onnx", "model.onnx.data"):
        assert sha256(tmp_path / "parts" / file) == sha256(tmp_path / "whole" / file), file
