"""Measures how far a model folder is from its source in onnxruntime_genai, on the provider that it is made for, else on the CPU."""

from __future__ import annotations

from typing import Any

from bakehouse.backends.onnxruntime_genai import genai_config
from bakehouse.backends.onnxruntime_genai.seams import FidelityRequest
from bakehouse.backends.onnxruntime_genai.workers import generate as ort_generate
from bakehouse.backends.onnxruntime_genai.workers.logits import Runner
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.workers import fidelity_files
from bakehouse.tasks.text_generation.workers.fidelity_figures import Window
from bakehouse.tasks.text_generation.workers.logits_compare import Evaluate


class Positions:
    """A model's logits at the scored positions of windows.

    A graph that the builder makes with `prune_lm_head` gives those of the last position of each call only: once that is seen, the tokens
    that are scored come one by one, and `stepped` is true.
    """

    def __init__(self, evaluate: Evaluate) -> None:
        self.evaluate = evaluate
        self.stepped = False

    def logits(self, window: Window) -> Any:
        """An array, positions x vocabulary."""
        import numpy as np

        ids = list(window.ids[:-1])  # nothing is scored after the last one
        rows = self.evaluate(ids, window.first + 1 if self.stepped else len(ids), window.scored)
        if len(rows) < len(window.scored) and not self.stepped:
            self.stepped = True
            return self.logits(window)
        return np.stack([rows[at] for at in window.scored])


def run(request: FidelityRequest) -> None:
    """Write fidelity.json."""
    events.progress("loading the model")
    reason = ort_generate.lacks(genai_config.read(request.model).provider, request.model)
    model = ort_generate.load(request.model, reason is not None)
    runner = Runner(request.model, model=model)
    reference = fidelity_files.within(fidelity_files.read_reference(request.reference), runner.context)
    found = Positions(runner.evaluate)
    compared = fidelity_files.measure(reference, found.logits, request.positions)
    device = "CPU" if model.device_type == "CPU" else request.device
    fidelity_files.write(request.files, reference, compared, device, stand_in=reason is not None, stepped=found.stepped)


if __name__ == "__main__":
    start.run(run, FidelityRequest)
