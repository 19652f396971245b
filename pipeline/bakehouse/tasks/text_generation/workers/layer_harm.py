"""Measures the harm of each layer: how far the source gets from itself with only that layer in fewer bits, in transformers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bakehouse.child import events, mapped
from bakehouse.tasks.text_generation.layers import LAYERS, Layer, SensitivityResult
from bakehouse.tasks.text_generation.workers import fidelity_figures, fidelity_files, fidelity_reference, reference_model
from bakehouse.tasks.text_generation.workers.fidelity_figures import Window
from bakehouse.tasks.text_generation.workers.fidelity_files import Reference


@dataclass(frozen=True)
class Rounding:
    """How a layer is rounded.

    Attributes:
        node: of its MatMul in the runtime's graph.
        weights: how many it has.
        modules: of the torch model, which have them.
        rounded: gives the weights of these modules with those of the layer in fewer bits.
    """

    node: str
    weights: int
    modules: Sequence[Any]
    rounded: Callable[[], Iterable[Any]]


def measure(model: Any, layers: Sequence[Rounding], reference: Path, windows: int, checkpoint: Path, files: Path) -> SensitivityResult:
    """Write layers.json: the layers in the order in which they are given."""
    import torch

    chosen = spread(fidelity_files.read_reference(reference), windows)
    with torch.inference_mode(), mapped.kept_small(checkpoint, most_bytes=mapped.AGAIN_BYTES):
        found = list(harms(model, layers, chosen))
    text = json.dumps([layer.model_dump(mode="json") for layer in found], indent=2) + "\n"
    (files / LAYERS).write_text(text, encoding="utf-8", newline="\n")
    return SensitivityResult(layers=len(found), positions=sum(len(window.scored) for window in chosen.windows))


def harms(model: Any, layers: Sequence[Rounding], reference: Reference) -> Iterator[Layer]:
    """Every layer with its harm, in nats: the mean divergence above that of the model as it is."""
    forward = reference_model.alone(model, partial(fidelity_reference.logits, model))
    floor = divergence(forward, reference)
    for number, layer in enumerate(layers):
        events.progress("measuring the harm of 4 bits", number, len(layers), "layers")
        before = [module.weight.data for module in layer.modules]
        for module, weight in zip(layer.modules, layer.rounded(), strict=True):
            module.weight.data = weight
        harm = max(divergence(forward, reference) - floor, 0.0)
        for module, weight in zip(layer.modules, before, strict=True):
            module.weight.data = weight
        yield Layer(node=layer.node, weights=layer.weights, harm=harm)


def spread(reference: Reference, windows: int) -> Reference:
    """So many windows of the reference, evenly out of all."""
    chosen = reference.windows[:: max(1, len(reference.windows) // windows)][:windows]
    return fidelity_files.select(reference, lambda window: window in chosen)


def divergence(forward: Callable[[Window], Any], reference: Reference) -> float:
    """The mean divergence from the reference, in nats."""
    import numpy as np

    compared = fidelity_figures.measure(reference.windows, reference.kept, forward)
    return float(np.concatenate([one.kl for one in compared]).mean())
