"""The model builder's quantization, one weight at a time: the same bytes as its own `to_nbits`, without the whole model in memory.

`to_nbits` (onnxruntime_genai.models, builders/base.py, 0.18.0) turns the whole graph into one protobuf, every weight in it already
in the io type (float32 on the CPU), and only then quantizes node by node. Here the protobuf holds names, types and shapes only;
each node goes through that same `to_nbits` in a graph of its own, and the results are put together as the quantizer would have.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from onnxruntime.quantization.neural_compressor.onnx_model import ONNXModel as SortedModel
from onnxruntime.quantization.onnx_model import ONNXModel as CleanedModel

from bakehouse.backends.onnxruntime_genai.memory import TOGETHER
from bakehouse.backends.onnxruntime_genai.workers.shelf import Shelf
from bakehouse.child import events

ToNbits = Callable[[Any], ir.Model]
Weights = dict[str, ir.TensorProtocol]

_EVEN = 16  # columns: zero points of 4 bits share bytes


@dataclass(frozen=True)
class Quantized:
    """What one node became: nodes in its place, and their initializers in the quantizer's order."""

    nodes: tuple[onnx.NodeProto, ...]
    tensors: tuple[ir.TensorProtocol, ...]


def streamed(to_nbits: ToNbits, folder: Path, between: Callable[[], None]) -> ToNbits:
    """A method that gives what `to_nbits` gives, with the float weights of one node in memory at a time.

    Args:
        folder: where quantized weights wait that are too many for memory; it has to stay until the model is written.
        between: is called after each node.
    """

    def to_nbits_streamed(builder: Any) -> ir.Model:
        weights = _taken_out(builder.model)
        shelf = Shelf(folder)
        made = {
            name: Quantized(one.nodes, tuple(map(shelf.keep, one.tensors))) for name, one in _quantized(builder, weights, to_nbits, between)
        }
        proto = ir.to_proto(builder.model)
        if builder.quantization_algo == "default":
            _replace(proto, made, last=set(builder.int4_customized_weight_config))
        else:
            _replace_and_sort(proto, made)
        whole = ir.from_proto(proto)
        weights |= {tensor.name: tensor for part in made.values() for tensor in part.tensors}
        for name, value in whole.graph.initializers.items():
            value.const_value = weights[name]
        return whole

    return to_nbits_streamed


def _taken_out(model: ir.Model) -> Weights:
    """Take all weights out of the graph, and leave in it only their names, types and shapes."""
    weights: Weights = {}
    for name, value in model.graph.initializers.items():
        weights[name] = value.const_value
        value.const_value = _stand_in(weights[name], name)
    return weights


def _stand_in(tensor: ir.TensorProtocol, name: str) -> ir.ExternalTensor:
    """A tensor of this name, type and shape whose data is elsewhere."""
    return ir.ExternalTensor("elsewhere", 0, tensor.nbytes, tensor.dtype, shape=tensor.shape, name=name)


def _quantized(builder: Any, weights: Weights, to_nbits: ToNbits, between: Callable[[], None]) -> Iterator[tuple[str, Quantized]]:
    """Every node of a kind to be quantized that has a constant weight and is not left as it was, by name; its weight leaves `weights`."""
    kinds, excluded = builder.quant_attrs["op_types_to_quantize"], builder.quant_attrs["nodes_to_exclude"]
    nodes = [node for node in builder.model.graph if node.op_type in kinds and node.name not in excluded]
    nodes = [node for node in nodes if any(value.name in weights for value in node.inputs if value is not None)]
    for done, node in enumerate(nodes):
        events.progress("quantizing weights", done, len(nodes))
        given = {value.name: weights[value.name] for value in node.inputs if value is not None and value.name in weights}
        made = _in_parts(builder, node, given, to_nbits) if _is_large(builder, node, given) else _alone(builder, node, given, to_nbits)
        if made.tensors:
            for name in given:
                del weights[name]
            yield node.name, made
        between()


def _alone(builder: Any, node: ir.Node, weights: Weights, to_nbits: ToNbits) -> Quantized:
    """What `to_nbits` makes of this node in a graph of its own."""
    alone = copy.copy(builder)
    alone.model = _model_of(node, builder.model, weights)
    exact = getattr(builder, "exact_quant_overrides", {})  # it looks for all of these in its graph
    alone.exact_quant_overrides = {name: one for name, one in exact.items() if name == node.name}
    alone.exact_quant_override_names = set(alone.exact_quant_overrides)
    result = to_nbits(alone)
    new = [value.const_value for name, value in result.graph.initializers.items() if name not in weights]
    return Quantized(tuple(ir.to_proto(after) for after in result.graph), tuple(_copied(tensor) for tensor in new if tensor is not None))


def _is_large(builder: Any, node: ir.Node, weights: Weights) -> bool:
    """Whether a node's weight is to be quantized in parts: a large matrix whose columns the quantizer writes one after another.

    With `use_qdq` it does not, and what is laid out for CUDA is mixed after that.
    """
    apart = node.op_type == "MatMul" and not builder.quant_attrs["use_qdq"] and not builder.matmul_attrs.get("weights_prepacked", 0)
    return apart and all(len(tensor.shape) == 2 and tensor.size > TOGETHER for tensor in weights.values())


def _in_parts(builder: Any, node: ir.Node, weights: Weights, to_nbits: ToNbits) -> Quantized:
    """The same of a matrix, some of its columns at a time."""
    ((name, tensor),) = weights.items()
    whole = tensor.numpy()
    columns, parts = whole.shape[1], list[Quantized]()
    step = max(1, TOGETHER // whole.shape[0] // _EVEN) * _EVEN
    for at in range(0, columns, step):
        part = ir.Tensor(whole[:, at : at + step], dtype=tensor.dtype, name=name)
        parts.append(_alone(builder, node, {name: part}, to_nbits))
    nodes = parts[0].nodes
    for attribute in (one for made in nodes for one in made.attribute if one.name == "N"):
        attribute.i = columns
    return Quantized(nodes, tuple(map(_joined, zip(*(one.tensors for one in parts), strict=True))))


def _joined(parts: Sequence[ir.TensorProtocol]) -> ir.TensorProtocol:
    """The tensors of a matrix' columns, one below the other."""
    return ir.Tensor(np.concatenate([part.numpy() for part in parts]), dtype=parts[0].dtype, name=parts[0].name)


def _model_of(node: ir.Node, model: ir.Model, weights: Weights) -> ir.Model:
    """A model of this one node and its weights; all that the node is given otherwise is an input."""
    given = [ir.Value(name=value.name, shape=value.shape, type=value.type) for value in node.inputs]
    for value in given:
        value.const_value = _in_order(weights[value.name]) if value.name in weights else None
    outputs = [ir.Value(name=value.name, shape=value.shape, type=value.type) for value in node.outputs]
    graph = ir.Graph(
        [value for value in given if value.const_value is None],
        outputs,
        nodes=[ir.Node(node.domain, node.op_type, given, node.attributes.values(), name=node.name, outputs=outputs)],
        initializers=[value for value in given if value.const_value is not None],
        opset_imports=model.graph.opset_imports,
        name=model.graph.name,
    )
    return ir.Model(graph, ir_version=model.ir_version)


def _in_order(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    """The same in memory, row by row: onnx_ir serializes a transposed torch tensor a number at a time (TorchTensor.tobytes, 1.1)."""
    array = torch.from_numpy(tensor.numpy()).contiguous().numpy()
    return ir.Tensor(array, dtype=tensor.dtype, name=tensor.name)


def _copied(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    """A copy: parts of a protobuf message share its memory, and keep all of it, the float weight too, as long as one of them lives."""
    return ir.from_proto(ir.to_proto(tensor))


def _stand_ins(part: Quantized) -> list[onnx.TensorProto]:
    return [ir.to_proto(_stand_in(tensor, str(tensor.name))) for tensor in part.tensors]


def _replace(proto: onnx.ModelProto, made: dict[str, Quantized], last: set[str]) -> None:
    """As MatMulNBitsQuantizer.process does: new nodes where the old ones were, new initializers at the end, unused ones removed.

    `last` are nodes of other bits than the rest: the builder quantizes these in a second pass.
    """
    order = [node.name for node in proto.graph.node if node.name in made]
    nodes = [new for node in proto.graph.node for new in (made[node.name].nodes if node.name in made else (node,))]
    proto.graph.ClearField("node")
    proto.graph.node.extend(nodes)
    for name in sorted(order, key=lambda name: name in last):
        proto.graph.initializer.extend(_stand_ins(made[name]))
    CleanedModel(proto).clean_initializers()


def _replace_and_sort(proto: onnx.ModelProto, made: dict[str, Quantized]) -> None:
    """As rtn_quantize in onnxruntime.quantization.neural_compressor does: old nodes and weights out, new ones at the end, nodes sorted."""
    model = SortedModel(proto)
    old = [node for node in proto.graph.node if node.name in made]
    for node in old:
        model.add_initializers(_stand_ins(made[node.name]))
        model.remove_initializer(model.get_initializer(node.input[1]))
    model.add_nodes([new for node in old for new in made[node.name].nodes])
    model.remove_nodes(old)
    model.topological_sort()
