"""What is read out of a model's graph."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from bakehouse.backends.onnxruntime_genai.seams import Matrix
from bakehouse.backends.onnxruntime_genai.workers import graph as ort_graph


def dequantized(path: Path, kind: int, zero_points: bool) -> None:
    """Write a model of one MatMul whose weight, 32 by 4 in blocks of 16, is dequantized before it."""
    parts = ["weight", "scales", "zeros"] if zero_points else ["weight", "scales"]
    data = [
        helper.make_tensor("weight", kind, [32, 4], [1] * 128),
        helper.make_tensor("scales", TensorProto.FLOAT16, [2, 4], [1.0] * 8),
        helper.make_tensor("zeros", kind, [2, 4], [0] * 8),
    ]
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", parts, ["floats"], block_size=16, axis=0),
            helper.make_node("MatMul", ["x", "floats"], ["y"], name="/lm_head/MatMul_matmul_Q4"),
        ],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["batch_size", 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, ["batch_size", 4])],
        data[: len(parts)],
    )
    onnx.save(helper.make_model(graph), path)


@pytest.mark.parametrize("zero_points", [False, True])
@pytest.mark.parametrize(
    ("kind", "bits"), [(TensorProto.INT4, 4), (TensorProto.UINT4, 4), (TensorProto.INT8, 8), (TensorProto.UINT8, 8), (TensorProto.INT2, 2)]
)
def test_the_bits_of_a_dequantized_weight_are_those_of_its_type(kind: int, bits: int, zero_points: bool, tmp_path: Path) -> None:
    dequantized(tmp_path / "model.onnx", kind, zero_points)
    assert ort_graph.read(tmp_path / "model.onnx").weights == (
        Matrix(
            name="/lm_head/MatMul_matmul_Q4",
            op="MatMul",
            accuracy_level=0,
            bits=bits,
            block_size=16,
            zero_points=zero_points,
            type="float16",
            shape=(32, 4),
        ),
    )
