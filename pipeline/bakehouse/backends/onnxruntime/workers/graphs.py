"""Reads and writes ONNX files: which weights a graph has and who reads them, and one file of weights where it grows too large."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bakehouse.backends.onnxruntime.seams import Graph, Matrix

# protobuf's limit is 2 GiB; what is near it has its weights in a file next to it.
LARGEST = 1_900_000_000
_QUANTIZED = "_quantized"  # what onnxruntime's quantizer appends to the name of a weight; `_scale` of its scales


def data_file(path: Path) -> Path:
    """Where the weights of a large graph are."""
    return path.with_name(f"{path.name}_data")


def save(model: Any, path: Path, largest: int = LARGEST) -> None:
    """Write a graph; one that is larger than `largest` bytes with all its weights in a file next to it, `model.onnx_data`."""
    import onnx

    if weights_bytes(model) <= largest:
        onnx.save_model(model, path)
        return
    onnx.save_model(
        model, path, save_as_external_data=True, all_tensors_to_one_file=True, location=data_file(path).name, size_threshold=1024
    )


def weights_bytes(model: Any) -> int:
    """How large a graph's weights are; protobuf itself does not count what is too large for it."""
    return sum(len(one.raw_data) for one in model.graph.initializer)


def read(path: Path) -> Graph:
    """What a file says of itself; no weight is read."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    data = {entry.value for one in model.graph.initializer for entry in one.external_data if entry.key == "location"}
    return Graph(
        inputs=_interface(model.graph.input),
        outputs=_interface(model.graph.output),
        matrices=tuple(_matrices(model)),
        data=tuple(sorted(data)),
    )


def _interface(values: Any) -> dict[str, str]:
    import onnx

    return {one.name: onnx.TensorProto.DataType.Name(one.type.tensor_type.elem_type).lower() for one in values}


def _matrices(model: Any) -> Iterator[Matrix]:
    import onnx

    readers: dict[str, str] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, node.op_type)
    known = {one.name: one for one in model.graph.initializer}
    for name, one in known.items():
        kind = onnx.TensorProto.DataType.Name(one.data_type).lower()
        if len(one.dims) < 2 or kind == "int64" or name not in readers:
            continue
        plain = name.removesuffix(_QUANTIZED)
        scale = known.get(f"{plain}_scale") if plain != name else None
        scales = 0 if scale is None else int(scale.dims[0]) if scale.dims else 1
        yield Matrix(name=plain, op=readers[name], type=kind, shape=tuple(one.dims), scales=scales)


def values(path: Path) -> Mapping[str, Any]:
    """The weights of a file as arrays, by name; a quantized one as the numbers that it stands for, and in float32."""
    return {name: value for name, (value, _) in with_steps(path).items()}


def with_steps(path: Path) -> Mapping[str, tuple[Any, Any]]:
    """The same, each with how far apart the numbers are that a quantized weight can be; None for one that is not."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    known = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    found: dict[str, tuple[Any, Any]] = {}
    for name, value in known.items():
        plain = name.removesuffix(_QUANTIZED)
        if plain != name:
            point, scale = known[f"{plain}_zero_point"], known[f"{plain}_scale"]
            found[plain] = (value.astype(np.float32) - point.astype(np.float32)) * scale, scale
        elif value.ndim >= 2:
            found[name] = value, None
    return found
