"""Measures the harm of each layer: how far the source gets from itself with only that layer in 4 bits, as a build has it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bakehouse.backends.onnxruntime_genai import layer_names, weights
from bakehouse.backends.onnxruntime_genai.layer_names import Part
from bakehouse.backends.onnxruntime_genai.seams import SensitivityRequest
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.layers import SensitivityResult
from bakehouse.tasks.text_generation.workers import layer_harm, transformers_generate
from bakehouse.tasks.text_generation.workers.layer_harm import Rounding

MODEL = "model.onnx"
_MOST_OFF = 0.3  # of a weight's size: rounding to 4 bits moves it by 0.05 to 0.2, another layer's weights are off by more than 1


def quantized(folder: Path) -> Iterator[tuple[str, onnx.NodeProto, dict[str, onnx.TensorProto]]]:
    """The MatMuls in 4 bits of the layers: the name before it was quantized, the node, and all initializers by name."""
    graph = onnx.load(folder / MODEL, load_external_data=False).graph
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        name = weights.without_suffix(node.name)
        if node.op_type == "MatMulNBits" and layer_names.layer_of(name) is not None:
            yield name, node, initializers


def dequantized(node: onnx.NodeProto, initializers: dict[str, onnx.TensorProto], folder: Path) -> Any:
    """The matrix of a MatMulNBits in floating point, a row for each output as torch has it (ONNX Runtime's docs/ContribOperators.md)."""
    numbers = {attribute.name: attribute.i for attribute in node.attribute}
    outputs, inputs, size = numbers["N"], numbers["K"], numbers["block_size"]
    packed, scales, *zeros = (_values(initializers[name], folder) for name in node.input[1:4] if name)
    values = _nibbles(packed.reshape(outputs, -1))
    blocks = values.reshape(outputs, -1, size).astype(np.float32)
    if zeros:
        blocks -= _nibbles(zeros[0].reshape(outputs, -1))[:, : blocks.shape[1], None].astype(np.float32)
    else:
        blocks -= np.float32(8)
    return (blocks * scales.astype(np.float32).reshape(outputs, -1, 1)).reshape(outputs, -1)[:, :inputs]


def _nibbles(packed: Any) -> Any:
    """Two numbers of 4 bits out of every byte, the lower one first."""
    return np.stack((packed & 0x0F, packed >> 4), axis=-1).reshape(packed.shape[0], -1)


def _values(tensor: onnx.TensorProto, folder: Path) -> Any:
    """The numbers of an initializer. onnx itself refuses external data that has hard links, as a package's has."""
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return numpy_helper.to_array(tensor)
    place = {entry.key: entry.value for entry in tensor.external_data}
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    count, offset = math.prod(tensor.dims), int(place.get("offset", 0))
    return np.fromfile(folder / place["location"], kind, count, offset=offset).reshape(tuple(tensor.dims))


def roundings(model: Any, folder: Path) -> Iterator[Rounding]:
    """How each layer is rounded."""
    import torch

    linear = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    for name, node, initializers in quantized(folder):
        layer = layer_names.layer_of(name)
        own = {path.rpartition(".")[2]: module for path, module in linear.items() if f".layers.{layer}." in f".{path}"}
        parts = [(part, own[part.name]) for part in layer_names.parts(name, own)]
        if not parts:
            _refuse(name)
        count = sum(module.weight.numel() // part.of for part, module in parts)
        matrix = partial(dequantized, node, initializers, folder)
        yield Rounding(name, count, [module for _, module in parts], partial(rounded, name, parts, matrix))


def rounded(name: str, parts: Sequence[tuple[Part, Any]], matrix: Callable[[], Any]) -> Iterator[Any]:
    """The weights of each of a node's modules, with the node's own as it has them in 4 bits."""
    import torch

    left = torch.from_numpy(matrix())
    for part, module in parts:
        weight = module.weight.data.clone()
        rows = weight.shape[0] // part.of
        own, new = weight[part.number * rows :][:rows], left[:rows].to(weight.dtype)
        if new.shape != own.shape or (new - own).norm() > _MOST_OFF * own.norm():
            _refuse(name)
        own[:] = new
        left = left[rows:]
        yield weight
    if len(left):
        _refuse(name)


def _refuse(name: str) -> NoReturn:
    events.refuse(
        f"The layer {name} of the graph is no linear layer of transformers, so its harm cannot be measured.",
        "Leave rank_layers out of the search.",
    )


def run(request: SensitivityRequest) -> SensitivityResult:
    """Write layers.json: the layers in the order of the graph."""
    with start.own_modules():
        events.progress("loading the checkpoint")
        options = request.options
        model = transformers_generate.load(request.checkpoint, remote_code=options.remote_code, float32_below=options.float32_below)
        layers = list(roundings(model, request.model))
        return layer_harm.measure(model, layers, request.reference, options.windows, request.checkpoint, request.files)


if __name__ == "__main__":
    start.run(run, SensitivityRequest)
