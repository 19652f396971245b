"""Compares what an export computes in OpenVINO with what its source computes in transformers, position by position.

In the model's own precision (ACCURACY). Where only the first layers are compared, those are exported by the same code.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.workers import events, logits_compare, start
from pipeline.workers.logits_compare import Group

MODEL = "openvino_model.xml"
ACCURATE = {"EXECUTION_MODE_HINT": "ACCURACY"}
_POSITIONS = "positions"
# What may lie between the last MatMul and the logits: a bias, a scale, a cap by tanh, a conversion.
_AFTER = ("Add", "Convert", "Divide", "Multiply", "Subtract", "Tanh")


class Runner:
    """A compiled stateful model."""

    def __init__(self, folder: Path) -> None:
        import openvino as ov

        core = ov.Core()
        model = core.read_model(folder / MODEL)
        self.sliced = only_wanted(model)
        self.names = {name for port in model.inputs for name in port.names}
        self.request = core.compile_model(model, "CPU", ACCURATE).create_infer_request()

    def evaluate(self, ids: list[int], prefill: int, scored: Sequence[int]) -> dict[int, Any]:
        """See logits_compare.Evaluate."""
        self.request.reset_state()
        rows = self._infer(ids[:prefill], 0, [at for at in scored if at < prefill])
        for at in range(prefill, len(ids)):
            rows |= self._infer(ids[at : at + 1], at, [at] if at in scored else [])
        return rows

    def _infer(self, ids: list[int], past: int, wanted: list[int]) -> dict[int, Any]:
        import numpy as np

        count = len(ids)
        places = [at - past for at in wanted]
        values = {
            "input_ids": np.array([ids], np.int64),
            "attention_mask": np.ones((1, past + count), np.int64),
            "position_ids": np.arange(past, past + count, dtype=np.int64)[None],
            "beam_idx": np.zeros(1, np.int32),
            _POSITIONS: np.array(places or [count - 1], np.int64),
        }
        self.request.infer({name: value for name, value in values.items() if name in self.names})
        logits = self.request.get_tensor("logits").data[0]
        return {at: logits[index if self.sliced else place].copy() for index, (at, place) in enumerate(zip(wanted, places, strict=True))}


def only_wanted(model: Any) -> bool:
    """Have the last MatMul compute only the positions of a new input, `positions`: those of a long input would take gigabytes.

    False, and the model is as it was, where the logits do not come from a MatMul of hidden states.
    """
    import openvino as ov
    from openvino import opset13

    node = next(port.node for port in model.outputs if "logits" in port.names).input_value(0).get_node()
    while node.get_type_name() in _AFTER:
        node = node.input_value(0).get_node()
    if node.get_type_name() != "MatMul" or node.input_value(0).get_partial_shape().rank.get_length() != 3:
        return False
    positions = opset13.parameter(ov.PartialShape([-1]), ov.Type.i64, name=_POSITIONS)
    positions.output(0).set_names({_POSITIONS})
    axis = opset13.constant(1, ov.Type.i64)
    node.input(0).replace_source_output(opset13.gather(node.input_value(0), positions, axis).output(0))
    model.add_parameters([positions])
    model.validate_nodes_and_infer_types()
    return True


@contextmanager
def _exported(group: Group, export: Path, checkpoint: Path, remote_code: bool) -> Iterator[Path]:
    """The export itself, or one of the first layers."""
    if group.is_whole:
        yield export
        return
    from pipeline.workers import openvino_export, transformers_logits

    with transformers_logits.first_layers(checkpoint, group.layers, group.of) as cut, tempfile.TemporaryDirectory() as folder:
        openvino_export.export(cut, Path(folder), remote_code)
        yield Path(folder)


def main() -> None:
    """`EXPORT CHECKPOINT REFERENCE FILES OPTIONS`, OPTIONS being the step's options as JSON."""
    told = start.parser(__doc__, "export", "checkpoint", "reference", "files").parse_args()
    groups, not_checked = logits_compare.read(told.reference)
    runs: list[dict[str, Any]] = []
    with start.own_modules():
        for group in groups:
            with _exported(group, told.export, told.checkpoint, told.options["remote_code"]) as folder:
                events.progress("compiling the model")
                found, beyond = logits_compare.compare(group, Runner(folder).evaluate, "float32")
            runs += found
            not_checked += beyond
    logits_compare.write(told.files, runs, not_checked, "float32")


if __name__ == "__main__":
    main()
