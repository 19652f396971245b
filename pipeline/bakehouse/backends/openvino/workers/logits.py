"""Compares what an export computes in OpenVINO with what its source computes in transformers, position by position.

In the model's own precision (ACCURACY). Where only the first layers are compared, those are cut out of the export's own graph.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bakehouse.backends.openvino.seams import LogitsRequest
from bakehouse.backends.openvino.workers import cut as openvino_cut
from bakehouse.child import events, start, temporary
from bakehouse.tasks.text_generation.seams import Failed, Figures, NumericResult
from bakehouse.tasks.text_generation.workers import logits_compare
from bakehouse.tasks.text_generation.workers.logits_compare import Compared, Group

MODEL = "openvino_model.xml"
ACCURATE = {"EXECUTION_MODE_HINT": "ACCURACY"}
_STATE_RANK, _BY_POSITION = 4, 2  # of a cache: batch, heads, positions, values
_WORTH = 256  # tokens whose computing is worth saving: a shorter input is given as it is


class UnknownLayers(Exception):
    """A graph whose layers have other names."""


class Runner:
    """A compiled stateful model: the one in `folder`, or where `layers` is given the first ones of its `of` layers.

    `quick`: what no wanted position needs is not computed. `reuse`: a cache is cut back to where the next input parts from it, which is
    sound where logits at a position do not depend on later tokens. What comes out wrong so has to be tried without.

    Raises:
        UnknownLayers: if the nodes of the first layers cannot be recognized.
    """

    def __init__(
        self,
        folder: Path,
        quick: bool = False,
        reuse: bool = False,
        layers: int | None = None,
        of: int = 0,
        device: str = "CPU",
        options: Mapping[str, str | int] = ACCURATE,
    ) -> None:
        import openvino as ov

        core = ov.Core()
        model = core.read_model(folder / MODEL)
        if layers is not None and not openvino_cut.keep_first(model, layers, of):
            raise UnknownLayers
        self.sliced = openvino_cut.keep_rows(model, head_only=not quick)
        self.names = {name for port in model.inputs for name in port.names}
        self.request = core.compile_model(model, device, dict(options)).create_infer_request()
        self.reuse = reuse
        self.cached: list[int] = []

    def evaluate(self, ids: list[int], prefill: int, scored: Sequence[int]) -> dict[int, Any]:
        """See logits_compare.Evaluate; where caches are reused, many tokens between those that are compared come together."""
        past = prefill - 1 if self.reuse and prefill < len(ids) and self._cut_back(ids, prefill - 1) else 0
        if not past:
            self.request.reset_state()
        self.cached = []  # should this end in an error
        rows: dict[int, Any] = {}
        for end in logits_compare.ends(len(ids), prefill, scored, self.reuse):
            rows |= self._infer(ids[past:end], past, [at for at in scored if past <= at < end])
            past = end
        self.cached = list(ids)
        return rows

    def _cut_back(self, ids: list[int], tokens: int) -> bool:
        """Leave only the first tokens in the cache; False if it has others, or is not of keys and values by position."""
        import numpy as np
        import openvino as ov

        states = self.request.query_state()
        shapes = [list(state.state.shape) for state in states]
        if not _WORTH < tokens < len(self.cached) or self.cached[:tokens] != ids[:tokens] or not states:
            return False
        if any(len(shape) != _STATE_RANK or shape[_BY_POSITION] != len(self.cached) for shape in shapes):
            return False
        for state in states:
            state.state = ov.Tensor(np.ascontiguousarray(state.state.data[:, :, :tokens]))
        return True

    def _infer(self, ids: list[int], past: int, wanted: list[int]) -> dict[int, Any]:
        import numpy as np

        count = len(ids)
        places = [at - past for at in wanted]
        values = inputs(ids, past) | {openvino_cut.POSITIONS: np.array(places or [count - 1], np.int64)}
        self.request.infer({name: value for name, value in values.items() if name in self.names})
        logits = self.request.get_tensor("logits").data[0]
        return {at: logits[index if self.sliced else place].copy() for index, (at, place) in enumerate(zip(wanted, places, strict=True))}


def inputs(ids: Sequence[int], past: int = 0) -> dict[str, object]:
    """All that a stateful model may have as inputs for tokens that follow on `past` others."""
    import numpy as np

    return {
        "input_ids": np.array([ids], np.int64),
        "attention_mask": np.ones((1, past + len(ids)), np.int64),
        "position_ids": np.arange(past, past + len(ids), dtype=np.int64)[None],
        "beam_idx": np.zeros(1, np.int32),
    }


def compared(group: Group, export: Path, checkpoint: Path, remote_code: bool) -> Compared:
    """The figures of a group: of the export's own first layers, or where these are wrong or not recognized of an export of these alone.

    A model may scale something by how many layers it has.
    """
    events.progress("compiling the model")
    if measured := _quickly(group, export):
        return measured
    with _exported(group, export, checkpoint, remote_code) as folder:
        events.progress("compiling the model")
        return logits_compare.compare(group, Runner(folder).evaluate, "float32")


def _quickly(group: Group, export: Path) -> Compared | None:
    """The figures of the export's own first layers, with what a runner may leave out; None where they are not right."""
    try:
        runner = Runner(export, True, group.joined, None if group.is_whole else group.layers, group.of)
    except (UnknownLayers, RuntimeError):  # the runtime's only type: a graph that it does not take once it is cut
        return None
    found, beyond = logits_compare.compare(group, runner.evaluate, "float32")
    return None if logits_compare.any_wrong(found, "float32") else (found, beyond)


@contextlib.contextmanager
def _exported(group: Group, export: Path, checkpoint: Path, remote_code: bool) -> Iterator[Path]:
    """The export itself, or one of the first layers."""
    if group.is_whole:
        yield export
        return
    from bakehouse.backends.openvino.workers import export as openvino_export
    from bakehouse.tasks.text_generation.workers import transformers_logits

    with transformers_logits.first_layers(checkpoint, group.layers, group.of) as cut, temporary.folder() as folder:
        openvino_export.export(cut, Path(folder), remote_code)
        yield Path(folder)


def run(request: LogitsRequest) -> NumericResult:
    """Compare every group of runs, and write the figures."""
    groups, not_checked = logits_compare.read(request.reference)
    runs: list[Figures | Failed] = []
    with start.own_modules():
        for group in groups:
            found, beyond = compared(group, request.export, request.checkpoint, request.remote_code)
            runs += found
            not_checked += beyond
    return logits_compare.write(request.files, runs, not_checked, "float32")


if __name__ == "__main__":
    start.run(run, LogitsRequest)
