"""Graphs are read back as they were written, also with their weights in a file of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bakehouse.backends.onnxruntime.workers import graphs

pytestmark = pytest.mark.needs_backend("onnxruntime")
WEIGHT = np.arange(512, dtype=np.float32).reshape(16, 32)


def model() -> onnx.ModelProto:
    """A product with a matrix, and one with eight bits of it."""
    taken = helper.make_tensor_value_info("states", TensorProto.FLOAT, ["batch_size", 16])
    given = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch_size", 32])
    nodes = [
        helper.make_node("MatMul", ["states", "linear"], ["logits"]),
        helper.make_node("Gather", ["words_quantized", "ids"], ["found"]),
    ]
    rounded = {
        "linear": WEIGHT,
        "words_quantized": np.full((4, 8), 130, dtype=np.uint8),
        "words_scale": np.float32(0.5),
        "words_zero_point": np.uint8(128),
        "ids": np.zeros((1, 1), dtype=np.int64),
    }
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in rounded.items()]
    return helper.make_model(helper.make_graph(nodes, "tiny", [taken], [given], weights))


@pytest.mark.parametrize(("largest", "data"), [(10**6, ()), (100, ("model.onnx_data",))])
def test_a_graph_that_is_too_large_has_its_weights_in_a_file_of_their_own(largest: int, data: tuple[str, ...], tmp_path: Path) -> None:
    graphs.save(model(), tmp_path / "model.onnx", largest)
    found = graphs.read(tmp_path / "model.onnx")
    assert (found.data, [(one.name, one.op, one.type, one.shape, one.scales) for one in found.matrices]) == (
        data,
        [("linear", "MatMul", "float", (16, 32), 0), ("words", "Gather", "uint8", (4, 8), 1)],
    )
    assert (found.inputs, found.outputs) == ({"states": "float"}, {"logits": "float"})
    values = graphs.values(tmp_path / "model.onnx")
    assert np.array_equal(values["linear"], WEIGHT) and np.array_equal(values["words"], np.ones((4, 8)))
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", *data}
