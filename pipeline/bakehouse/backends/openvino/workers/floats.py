"""Turns the 16-bit weights of an OpenVINO model into another float type, one weight at a time while the model is saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import openvino as ov
from openvino import opset13 as op
from openvino.utils import make_postponed_constant

from bakehouse.child import events

TYPES = {"bf16": ov.Type.bf16, "f16": ov.Type.f16, "f32": ov.Type.f32}
SIXTEEN_BIT = ("bf16", "f16")
LARGEST = {"f16": 65504.0, "f32": float(np.finfo(np.float32).max)}


def converter(source: str, target: str) -> Callable[[Any, str], ov.Tensor]:
    """A function from a constant's node and name to its values in the type `target`.

    The CPU plugin converts: many times faster than numpy and without importing torch, and like both rounds to nearest even.
    """
    values = op.parameter([-1], TYPES[source])
    model = ov.Model([op.convert(values, target)], [values])
    request = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()

    def convert(constant: Any, name: str) -> ov.Tensor:
        flat = constant.data.reshape(-1)
        request.set_input_tensor(ov.Tensor(flat, [flat.size], TYPES[source]))
        made = ov.Tensor(TYPES[target], [flat.size])
        request.set_output_tensor(0, made)
        request.infer()
        peak = largest(flat, source)
        if peak > LARGEST[target]:
            events.refuse(f"{name} has a weight of {peak:g}, more than {target} can hold.", "Build it with weights fp32, int8 or int4.")
        return ov.Tensor(made.data.reshape(constant.shape))

    return convert


def largest(values: Any, kind: str) -> float:
    """The largest magnitude among 16-bit floats. Without their sign bit, their bits are in the order of their size."""
    bits = np.uint16(max(values.view(np.int16).max(), int(values.view(np.uint16).max()) - 0x8000, 0))
    return float(bits.view(np.float16) if kind == "f16" else (np.uint32(bits) << np.uint32(16)).view(np.float32))


def constants(model: ov.Model, types: tuple[str, ...]) -> list[Any]:
    """All constants of these element types, in the model's order."""
    return [node for node in model.get_ordered_ops() if node.get_type_name() == "Constant" and node.get_element_type().to_string() in types]


def change(model: ov.Model, target: Literal["f16", "f32"]) -> int:
    """Put constants of type `target` in the place of the 16-bit ones of another type; returns how many there were.

    Equal weights lie once in the file and stay shared: save_model tells equal constants by content, but not postponed ones.
    For f32 the conversion behind each constant goes too, as in a model that never was in 16 bits.
    """
    found = constants(model, tuple(kind for kind in SIXTEEN_BIT if kind != target))
    converters = {kind: converter(kind, target) for kind in SIXTEEN_BIT}
    made: dict[tuple[int, tuple[int, ...]], Any] = {}
    for number, constant in enumerate(found):
        convert = converters[constant.get_element_type().to_string()]
        place = (constant.data.ctypes.data, tuple(constant.shape))
        if place not in made:
            made[place] = _postponed(constant, target, convert, number, len(found))
        for consumer in list(constant.output(0).get_target_inputs()):
            _connect(made[place], consumer, target)
    return len(found)


def _postponed(constant: Any, target: str, convert: Callable[[Any, str], ov.Tensor], number: int, total: int) -> Any:
    name = constant.get_friendly_name()

    def make() -> ov.Tensor:
        events.progress("converting weights", number + 1, total, "weights")
        return convert(constant, name)

    made = make_postponed_constant(TYPES[target], constant.get_output_shape(0), make, name)
    made.output(0).get_tensor().set_names(constant.output(0).get_names())
    return made


def _connect(made: Any, consumer: Any, target: str) -> None:
    node = consumer.get_node()
    if target == "f32" and node.get_type_name() == "Convert":
        for behind in list(node.output(0).get_target_inputs()):
            behind.replace_source_output(made.output(0))
    else:
        consumer.replace_source_output(made.output(0))
