"""Reads what an ONNX model of the model builder is, without its weights. What it should be is for the backend to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
from onnx import TensorProto


def read(path: Path) -> dict[str, Any]:
    """JSON values: `weights`, a row for every operation that has a matrix; `inputs` and `outputs` (type, shape); `data` (bytes by file)."""
    graph = onnx.load(path, load_external_data=False).graph
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    dequantized = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    rows = (_row(node, initializers, dequantized) for node in graph.node)
    return {
        "weights": [row for row in rows if row is not None],
        "inputs": {value.name: _value(value) for value in graph.input},
        "outputs": {value.name: _value(value) for value in graph.output},
        "data": _data(graph),
    }


def _row(node: onnx.NodeProto, initializers: dict[str, TensorProto], dequantized: dict[str, onnx.NodeProto]) -> dict[str, Any] | None:
    """One operation with a matrix of weights: name, type, element type, bits, block size, accuracy level, zero points; None for others."""
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    row: dict[str, Any] = {"name": node.name, "op": node.op_type, "accuracy_level": attributes.get("accuracy_level", 0)}
    match node.op_type:
        case "MatMulNBits":
            return row | _in_blocks(node, attributes, initializers, [attributes["K"], attributes["N"]])
        case "GatherBlockQuantized":
            data = initializers.get(node.input[0])  # none if it is the last MatMul's, through a Reshape
            return row | _in_blocks(node, attributes, initializers, list(data.dims) if data else None)
        case "MatMul" if node.input[1] in dequantized:
            source = dequantized[node.input[1]]
            block = next(attribute.i for attribute in source.attribute if attribute.name == "block_size")
            data = initializers[source.input[0]]
            bits = ir.DataType(data.data_type).bitwidth
            return row | _blocks(bits, block, _given(source, 2)) | {"type": _type(initializers[source.input[1]]), "shape": list(data.dims)}
        case "MatMul" | "Gather" | "Attention":  # that of fp32 on cuda holds q, k and v
            data = initializers.get(node.input[0 if node.op_type == "Gather" else 1])
            if data is None or len(data.dims) != 2:
                return None
            return row | {"bits": None, "block_size": None, "zero_points": False, "type": _type(data), "shape": list(data.dims)}
        case _:
            return None


def _in_blocks(
    node: onnx.NodeProto, attributes: dict[str, Any], initializers: dict[str, TensorProto], shape: list[int] | None
) -> dict[str, Any]:
    scales = initializers[node.input[2]]
    return _blocks(attributes.get("bits", 4), attributes["block_size"], _given(node, 3)) | {"type": _type(scales), "shape": shape}


def _blocks(bits: int, block_size: int, zero_points: bool) -> dict[str, Any]:
    return {"bits": bits, "block_size": block_size, "zero_points": zero_points}


def _given(node: onnx.NodeProto, position: int) -> bool:
    return len(node.input) > position and bool(node.input[position])


def _type(tensor: TensorProto) -> str:
    return str(TensorProto.DataType.Name(tensor.data_type)).lower()


def _value(value: onnx.ValueInfoProto) -> dict[str, Any]:
    tensor = value.type.tensor_type
    return {
        "type": str(TensorProto.DataType.Name(tensor.elem_type)).lower(),
        "shape": [size.dim_param or size.dim_value for size in tensor.shape.dim],
    }


def _data(graph: onnx.GraphProto) -> dict[str, int]:
    """File -> bytes of it that the initializers refer to."""
    ends: dict[str, int] = {}
    for tensor in graph.initializer:
        where = {entry.key: entry.value for entry in tensor.external_data}
        if "location" in where:
            end = int(where.get("offset", 0)) + int(where["length"])
            ends[where["location"]] = max(end, ends.get(where["location"], 0))
    return ends
