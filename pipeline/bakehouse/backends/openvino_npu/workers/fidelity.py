"""Measures how far an NPU build is from its source: its model on the CPU plugin, and some tokens in the graphs that the NPU pipeline makes.

Of the graphs only the last position of a prompt and those of the answer have logits, and each prompt costs as much as the longest: so a
few of the source's answers show what the fixed shapes change. Both run on the CPU, in place of the NPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bakehouse.backends.openvino.workers import fidelity as openvino_fidelity
from bakehouse.backends.openvino.workers.logits import ACCURATE
from bakehouse.backends.openvino_npu.seams import FidelityRequest
from bakehouse.backends.openvino_npu.workers import generate as npu_generate
from bakehouse.backends.openvino_npu.workers.logits import Runner
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.workers import fidelity_figures, fidelity_files
from bakehouse.tasks.text_generation.workers.fidelity_figures import ANSWERS, Compared, Window
from bakehouse.tasks.text_generation.workers.fidelity_files import Reference
from bakehouse.tasks.text_generation.workers.logits_compare import Evaluate

_ANSWERS, _TOKENS = 4, 16  # of each answer its first tokens: 64 in all


def answers(windows: Sequence[Window], longest: int, room: int) -> list[int]:
    """The places of the first answers that graphs have room for.

    Args:
        longest: tokens of a prompt at most.
        room: tokens of a prompt and its answer at most.
    """
    fits = (window.set == ANSWERS and window.first < longest and window.first + 1 + _TOKENS <= room for window in windows)
    return [place for place, fit in enumerate(fits) if fit][:_ANSWERS]


def of_graphs(evaluate: Evaluate, reference: Reference, found: Sequence[Compared], places: Sequence[int]) -> dict[str, object]:
    """The fields of records.GraphsFidelity at the first tokens of these windows: the graphs, and the model, of which `found` has all."""
    import numpy as np

    def logits(window: Window) -> Any:
        rows = evaluate(list(window.ids[:-1]), window.first + 1, window.scored)
        return np.stack([rows[at] for at in window.scored])

    chosen = {reference.windows[place] for place in places}
    part = fidelity_files.select(reference, lambda window: window in chosen)
    compared = fidelity_files.measure(part, logits, _TOKENS * len(part.windows), "measuring fidelity in graphs of fixed shape")
    return {
        "graphs": fidelity_figures.figures(compared),
        "model": fidelity_figures.figures([found[place].cut(_TOKENS) for place in places]),
    }


def graphs(folder: Path, settings: Mapping[str, str]) -> Runner:
    """The pipeline's graphs, on the CPU."""
    import openvino as ov

    lengths = {name: int(settings[name]) for name in ("MAX_PROMPT_LEN", "MIN_RESPONSE_LEN")}
    on_cpu = npu_generate.choose(ov.Core(), folder, (), on_cpu=True).settings
    events.progress("compiling the graphs")
    try:
        return Runner(folder, lengths, {**settings, **on_cpu})
    except RuntimeError as error:
        events.refuse(*npu_generate.why_not_loaded(error), [str(error).strip().splitlines()[-1][:500]])


def run(request: FidelityRequest) -> None:
    """Write fidelity.json; a part of the positions is measured without the graphs."""
    reference = fidelity_files.read_reference(request.reference)
    found = openvino_fidelity.measure(request.model, reference, request.positions, ACCURATE, "measuring fidelity")
    longest, more = (int(request.settings[name]) for name in ("MAX_PROMPT_LEN", "MIN_RESPONSE_LEN"))
    places = answers(reference.windows, longest, longest + more) if request.positions is None else []
    compared = of_graphs(graphs(request.model, request.settings).evaluate, reference, found, places) if places else None
    fidelity_files.write(request.files, reference, found, openvino_fidelity.DEVICE, stand_in=True, graphs=compared)


if __name__ == "__main__":
    start.run(run, FidelityRequest)
