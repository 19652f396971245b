"""Makes a graph in float32 one with the same weights, in 16-bit floating point, or in 8-bit integers with onnxruntime's quantizer."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bakehouse.backends.onnxruntime.seams import GRAPH, ConvertRequest, ConvertResult, Graph
from bakehouse.backends.onnxruntime.workers import graphs
from bakehouse.child import events, start

_OPERATORS = ["MatMul", "Gather"]
# A weight is rounded to the nearest number that it can be: half a step away at most, and a little for computing that in float32.
_HALF_A_STEP = 0.501
_SMALLEST_HALF = 6e-8  # what is nearer to zero becomes this (onnxruntime.transformers.float16)


def run(request: ConvertRequest) -> ConvertResult:
    """Write the graph, and compare its weights with the export's."""
    path = request.files / request.graph
    path.parent.mkdir(parents=True, exist_ok=True)
    source = request.export / GRAPH
    match request.spec.weights:
        case "fp32":
            _copy(source, path)
        case "fp16":
            events.progress("converting the weights")
            _to_half(source, path)
        case "int8":
            events.progress("quantizing the weights")
            _quantize(source, path, bool(request.spec.reduce_range))
    events.progress("comparing the weights")
    export = graphs.read(source)
    return ConvertResult(export=export, graph=graphs.read(path), far=tuple(_far(export, source, path)))


def _copy(source: Path, path: Path) -> None:
    """The export under another name, and so in a file of weights of another name."""
    import onnx

    if graphs.data_file(source).exists():
        graphs.save(onnx.load(source), path)
    else:
        shutil.copyfile(source, path)


def _to_half(source: Path, path: Path) -> None:
    """Weights and computing in 16 bits, inputs and outputs as they are."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = onnx.load(source)
    large = graphs.weights_bytes(model) > graphs.LARGEST
    graphs.save(convert_float_to_float16(model, keep_io_types=True, disable_shape_infer=large), path)


def _quantize(source: Path, path: Path, reduce_range: bool) -> None:
    """Dynamic quantization, a scale for each column of a matrix product and one for an embedding."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # it recommends a step that fuses operators, which the runtime does when it loads
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        quantize_dynamic(
            source, made, op_types_to_quantize=_OPERATORS, per_channel=True, reduce_range=reduce_range, weight_type=QuantType.QInt8,
            use_external_data_format=graphs.data_file(source).exists(),
        )  # fmt: skip
        graphs.save(onnx.load(made), path)


def _far(export: Graph, source: Path, path: Path) -> Iterator[str]:
    """The weights that are further from the export's than rounding takes them, or are not there."""
    import numpy as np

    after = graphs.with_steps(path)
    turned = {one.name for one in export.matrices if one.op == "Gemm"}
    for name, value in graphs.values(source).items():
        if not np.issubdtype(value.dtype, np.floating):
            continue
        made, step = after.get(name, (None, None))
        # The quantizer makes a Gemm, which has its weight the other way round, a MatMul.
        if made is None or not any(_near(one, made, step) for one in (value, *((value.T,) if name in turned else ()))):
            yield name


def _near(value: Any, made: Any, step: Any) -> bool:
    import numpy as np

    if made.shape != value.shape:
        return False
    if made.dtype == np.float16:
        return bool(np.allclose(made.astype(np.float32), value, rtol=2**-11, atol=_SMALLEST_HALF))
    if step is None:
        return bool(np.array_equal(made, value))
    return bool((np.abs(made - value) <= _HALF_A_STEP * step).all())


if __name__ == "__main__":
    start.run(run, ConvertRequest)
