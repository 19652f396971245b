"""Reads what an ONNX model of the model builder is, without its weights. What it should be is for the backend to say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx
import onnx_ir as ir
from onnx import AttributeProto, TensorProto

from bakehouse.backends.onnxruntime_genai.seams import Graph, Matrix, Tensor


def read(path: Path) -> Graph:
    """A matrix for every operation that has one, in the order of the graph; inputs, outputs, and the bytes of external data by file."""
    graph = onnx.load(path, load_external_data=False).graph
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    dequantized = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    matrices = (one for node in graph.node for one in (_matrix(node, initializers, dequantized), *_experts(node, initializers)))
    return Graph(
        weights=tuple(matrix for matrix in matrices if matrix is not None),
        inputs={value.name: _tensor(value) for value in graph.input},
        outputs={value.name: _tensor(value) for value in graph.output},
        data=_data(graph),
    )


def convolutions(path: Path) -> tuple[Matrix, ...]:
    """The weights of convolutions along one axis, which text models do not have."""
    graph = onnx.load(path, load_external_data=False).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    found = [(node.name, weights[node.input[1]]) for node in graph.node if node.op_type == "Conv"]
    return tuple(Matrix(name=name, op="Conv", type=_type(data), shape=tuple(data.dims)) for name, data in found)


def _matrix(node: onnx.NodeProto, initializers: Mapping[str, TensorProto], dequantized: Mapping[str, onnx.NodeProto]) -> Matrix | None:
    """One operation with a matrix of weights; None for others."""
    match node.op_type:
        case "MatMulNBits":
            numbers = _numbers(node)
            return _in_blocks(node, initializers, (numbers["K"], numbers["N"]))
        case "GatherBlockQuantized":
            data = initializers.get(node.input[0])  # none if it is the last MatMul's, through a Reshape
            return _in_blocks(node, initializers, tuple(data.dims) if data else None)
        case "MatMul" if node.input[1] in dequantized:
            source = dequantized[node.input[1]]
            data = initializers[source.input[0]]
            return Matrix(
                name=node.name,
                op=node.op_type,
                bits=ir.DataType(data.data_type).bitwidth,
                block_size=_numbers(source)["block_size"],
                zero_points=_given(source, 2),
                type=_type(initializers[source.input[1]]),
                shape=tuple(data.dims),
            )
        case "MatMul" | "Gather" | "Attention":  # that of fp32 on cuda holds q, k and v
            data = initializers.get(node.input[0 if node.op_type == "Gather" else 1])
            if data is None or len(data.dims) != 2:
                return None
            return Matrix(name=node.name, op=node.op_type, type=_type(data), shape=tuple(data.dims))
        case _:
            return None


_EXPERTS = (2, 4, 6)  # the inputs of MoE (ONNX Runtime's contrib operators) that are matrices, one above another


def _experts(node: onnx.NodeProto, initializers: Mapping[str, TensorProto]) -> Iterator[Matrix]:
    """The matrices of experts in floating point."""
    if node.op_type == "MoE":
        for place in (one for one in _EXPERTS if _given(node, one)):
            data = initializers[node.input[place]]
            yield Matrix(name=f"{node.name}/{place}", op=node.op_type, type=_type(data), shape=tuple(data.dims))


def _in_blocks(node: onnx.NodeProto, initializers: Mapping[str, TensorProto], shape: tuple[int, ...] | None) -> Matrix:
    numbers = _numbers(node)
    return Matrix(
        name=node.name,
        op=node.op_type,
        accuracy_level=numbers.get("accuracy_level", 0),
        bits=numbers.get("bits", 4),
        block_size=numbers["block_size"],
        zero_points=_given(node, 3),
        type=_type(initializers[node.input[2]]),  # of the scales
        shape=shape,
    )


def _numbers(node: onnx.NodeProto) -> dict[str, int]:
    """The attributes of a node that are integers."""
    return {attribute.name: attribute.i for attribute in node.attribute if attribute.type == AttributeProto.INT}


def _given(node: onnx.NodeProto, position: int) -> bool:
    return len(node.input) > position and bool(node.input[position])


def _type(tensor: TensorProto) -> str:
    return str(TensorProto.DataType.Name(tensor.data_type)).lower()


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    tensor = value.type.tensor_type
    return Tensor(
        type=str(TensorProto.DataType.Name(tensor.elem_type)).lower(),
        shape=tuple(size.dim_param or size.dim_value for size in tensor.shape.dim),
    )


def _data(graph: onnx.GraphProto) -> dict[str, int]:
    """File -> bytes of it that the initializers refer to."""
    ends: dict[str, int] = {}
    for tensor in graph.initializer:
        where = {entry.key: entry.value for entry in tensor.external_data}
        if "location" in where:
            end = int(where.get("offset", 0)) + int(where["length"])
            ends[where["location"]] = max(end, ends.get(where["location"], 0))
    return ends
