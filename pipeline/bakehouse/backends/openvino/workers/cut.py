"""Makes a language model's graph smaller without another result: its first layers alone, and the last of them for wanted positions only.

Seen with what optimum-intel 2.1.0 exports: a node's friendly name begins with the path of its module, "__module.model.layers.3/...".
"""

from __future__ import annotations

import re
from typing import Any

POSITIONS = "positions"
_LAYER = re.compile(r"(\.(?:layers|h|blocks|block)\.)(\d+)(?=[./])")
# Operations that compute one position's row from the same position's rows, with attributes that `_keeps_rows` looks at.
_BY_ROW = frozenset((
    "Abs", "Add", "Clamp", "Convert", "Divide", "Exp", "Gelu", "MatMul", "Maximum", "Minimum", "Multiply", "Negative", "Power",
    "ReduceMean", "Relu", "Sigmoid", "Slice", "Split", "Sqrt", "SquaredDifference", "Subtract", "Swish", "Tanh", "VariadicSplit",
))  # fmt: skip
_AXIS_INPUT = {"ReduceMean": 1, "Split": 1, "VariadicSplit": 1, "Slice": 4}  # which input has the axes
_RANK = 3  # batch, positions, values
_LAST = ([-1], [_RANK - 1])


def keep_first(model: Any, layers: int, of: int) -> bool:
    """Have the last norm and the head follow on the first layers; False, and the model is as it was, where the graph is another kind."""
    logits = _logits(model)
    ends = _ends(logits)
    if len(ends) != 1:
        return False
    (last,) = ends.values()
    name = last.get_node().get_friendly_name()
    if _layer(name) != of - 1:
        return False
    wanted = _LAYER.sub(lambda found: f"{found[1]}{layers - 1}", name, count=1)
    found = next((node for node in model.get_ordered_ops() if node.get_friendly_name() == wanted), None)
    if found is None or found.get_type_name() != last.get_node().get_type_name():
        return False
    new = found.output(last.get_index())
    if new.get_partial_shape() != last.get_partial_shape():
        return False
    for consumer in list(last.get_target_inputs()):
        if _layer(consumer.get_node().get_friendly_name()) is None:
            consumer.replace_source_output(new)
    _drop_states(model, logits)
    return True


def keep_rows(model: Any, head_only: bool = False) -> bool:
    """Compute only the positions of a new input, `positions`, wherever later ones do not need the others: of the last layer and the head.

    The logits of all positions of a long input would take gigabytes, so that `head_only` does at least without these.
    False, and the model is as it was, where the logits do not come from a MatMul of hidden states.
    """
    import openvino as ov
    from openvino import opset13

    _write_split_lengths(model)
    logits = _logits(model)
    nodes = model.get_ordered_ops()
    varying = _varying(nodes)
    inside: set[str] = set()
    for node in reversed(nodes):  # all that use a node come before it
        users = [use.get_node() for port in node.outputs() for use in port.get_target_inputs()]
        others = [user for user in users if user.get_name() not in inside]
        is_last = node.get_name() == logits.get_node().get_name() and all(user.get_type_name() == "Result" for user in others)
        is_beyond = head_only and any(user.get_type_name() == "MatMul" for user in users)
        if (is_last or (users and not others)) and not is_beyond and _keeps_rows(node, varying):
            inside.add(node.get_name())
    edges = [
        port
        for node in nodes
        if node.get_name() in inside
        for port in node.inputs()
        if (source := port.get_source_output().get_node()).get_name() in varying and source.get_name() not in inside
    ]
    if not edges or not any(node.get_name() in inside and node.get_type_name() == "MatMul" for node in nodes):
        return False
    positions = opset13.parameter(ov.PartialShape([-1]), ov.Type.i64, name=POSITIONS)
    positions.output(0).set_names({POSITIONS})
    axis = opset13.constant(1, ov.Type.i64)
    for port in edges:
        port.replace_source_output(opset13.gather(port.get_source_output(), positions, axis).output(0))
    model.add_parameters([positions])
    model.validate_nodes_and_infer_types()
    return True


def _logits(model: Any) -> Any:
    """The value that is the model's logits."""
    return next(port.node for port in model.outputs if "logits" in port.names).input_value(0)


def _layer(name: str) -> int | None:
    found = _LAYER.search(name)
    return int(found[2]) if found else None


def _ends(logits: Any) -> dict[tuple[str, int], Any]:
    """The values of layers that what comes after the layers starts from."""
    found: dict[tuple[str, int], Any] = {}
    seen, waiting = set[str](), [logits]
    while waiting:
        value = waiting.pop()
        node = value.get_node()
        if _layer(node.get_friendly_name()) is not None and node.get_type_name() != "Constant":
            found[node.get_name(), value.get_index()] = value
        elif node.get_name() not in seen:
            seen.add(node.get_name())
            waiting += [port.get_source_output() for port in node.inputs()]
    return found


def _drop_states(model: Any, logits: Any) -> None:
    """Take out the caches that nothing of what is left reads."""
    needed, waiting = set[str](), [logits.get_node()]
    while waiting:
        node = waiting.pop()
        if node.get_name() not in needed:
            needed.add(node.get_name())
            waiting += [port.get_source_output().get_node() for port in node.inputs()]
    nodes = model.get_ordered_ops()
    kept = {_state(node) for node in nodes if node.get_type_name() == "ReadValue" and node.get_name() in needed}
    for sink in model.get_sinks():
        if sink.get_type_name() == "Assign" and _state(sink) not in kept:
            model.remove_sink(sink)
    for variable in model.get_variables():
        if variable.info.variable_id not in kept:
            model.remove_variable(variable)


def _state(node: Any) -> str:
    return str(node.get_attributes()["variable_id"])


def _write_split_lengths(model: Any) -> None:
    """Give the lengths of splits as constants where they are known: Phi-3's are half of a value's width, computed from its shape."""
    import numpy as np
    from openvino import opset13

    for node in model.get_ordered_ops():
        if node.get_type_name() == "VariadicSplit" and all(_has_rows(port.get_partial_shape()) for port in node.outputs()):
            widths = [port.get_partial_shape()[_RANK - 1] for port in node.outputs()]
            if _axes(node.input_value(1).get_node()) in _LAST and all(width.is_static for width in widths):
                lengths = np.array([width.get_length() for width in widths], np.int64)
                node.input(2).replace_source_output(opset13.constant(lengths).output(0))


def _varying(nodes: list[Any]) -> set[str]:
    """The names of the nodes whose value depends on an input or a cache."""
    found = set[str]()
    for node in nodes:
        if node.get_type_name() in ("Parameter", "ReadValue") or any(
            port.get_source_output().get_node().get_name() in found for port in node.inputs()
        ):
            found.add(node.get_name())
    return found


def _keeps_rows(node: Any, varying: set[str]) -> bool:
    """Whether this operation gives for some positions what it gives for all of them, if its inputs have only these."""
    kind = node.get_type_name()
    if kind not in _BY_ROW or not all(_has_rows(port.get_partial_shape()) for port in node.outputs()):
        return False
    values = [port.get_source_output() for port in node.inputs()]
    from_input = [value.get_node().get_name() in varying for value in values]
    if not all(_has_rows(value.get_partial_shape()) for value, varies in zip(values, from_input, strict=True) if varies):
        return False
    if kind == "MatMul":
        return from_input == [True, False] and not node.get_attributes()["transpose_a"]
    if kind in _AXIS_INPUT:
        place = _AXIS_INPUT[kind]
        return place < len(values) and not any(from_input[1:]) and _axes(values[place].get_node()) in _LAST
    return any(from_input)


def _axes(node: Any) -> list[int] | None:
    return [int(value) for value in node.get_data().reshape(-1)] if node.get_type_name() == "Constant" else None


def _has_rows(shape: Any) -> bool:
    return bool(shape.rank.is_static and shape.rank.get_length() == _RANK and shape[1].is_dynamic)
