"""Measures the harm of each linear layer: how far the source gets from itself with only that layer in 4 bits, rounded by NNCF."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bakehouse.backends.openvino.layer_names import layer_of
from bakehouse.backends.openvino.seams import LAYERS, Layer, SensitivityRequest, SensitivityResult, SensitivitySpec
from bakehouse.child import events, start
from bakehouse.formats import openvino_ir
from bakehouse.formats.openvino_ir import Weight
from bakehouse.tasks.text_generation.workers import (
    fidelity_figures,
    fidelity_files,
    fidelity_reference,
    reference_model,
    transformers_generate,
)
from bakehouse.tasks.text_generation.workers.fidelity_figures import Window
from bakehouse.tasks.text_generation.workers.fidelity_files import Reference

XML = "openvino_model.xml"


def modules(model: Any, weights: list[Weight]) -> dict[str, Any]:
    """torch's linear layer of each weight of the graph, by the node that uses it."""
    import torch

    named = dict(model.named_modules())
    found = {weight.user: named.get(layer_of(weight.user)) for weight in weights}
    fit = {
        user: module
        for (user, module), weight in zip(found.items(), weights, strict=True)
        if isinstance(module, torch.nn.Linear) and module.weight.numel() == weight.count
    }
    if absent := [user for user in found if user not in fit]:
        events.refuse(
            f"{len(absent)} of {len(found)} layers of the graph are no linear layers of transformers, first {absent[0]}.",
            "Leave rank_layers out of the search: NNCF's own metric ranks all layers.",
        )
    return fit


def rounded(weight: Any, options: SensitivitySpec) -> Any:
    """A weight (torch, outputs x inputs) after 4 bits, as NNCF rounds it without data."""
    import nncf
    import torch
    from nncf.quantization.algorithms.weight_compression.config import WeightCompressionConfig
    from nncf.quantization.algorithms.weight_compression.weight_lowering import integer_quantize_dequantize_weight
    from nncf.tensor import Tensor

    mode = nncf.CompressWeightsMode.INT4_SYM if options.symmetric else nncf.CompressWeightsMode.INT4_ASYM
    config = WeightCompressionConfig(mode, options.group_size)
    made = integer_quantize_dequantize_weight(Tensor(weight.float().numpy()), config, reduction_axes=(1,))
    return torch.from_numpy(made.data.reshape(weight.shape)).to(weight.dtype)


def harms(model: Any, layers: dict[str, Any], reference: Reference, options: SensitivitySpec) -> Iterator[Layer]:
    """Every layer with its harm, in nats: the mean divergence above that of the model as it is."""
    forward = reference_model.alone(model, partial(fidelity_reference.logits, model))
    floor = divergence(forward, reference)
    for number, (node, layer) in enumerate(layers.items()):
        events.progress("measuring the harm of 4 bits", number, len(layers), "layers")
        before = layer.weight.data
        layer.weight.data = rounded(before, options)
        harm = max(divergence(forward, reference) - floor, 0.0)
        layer.weight.data = before
        yield Layer(node=node, weights=before.numel(), harm=harm)


def spread(reference: Reference, windows: int) -> Reference:
    """So many windows of the reference, evenly out of all."""
    chosen = reference.windows[:: max(1, len(reference.windows) // windows)][:windows]
    return fidelity_files.select(reference, lambda window: window in chosen)


def divergence(forward: Callable[[Window], Any], reference: Reference) -> float:
    """The mean divergence from the reference, in nats."""
    import numpy as np

    compared = fidelity_figures.measure(reference.windows, reference.kept, forward)
    return float(np.concatenate([one.kl for one in compared]).mean())


def run(request: SensitivityRequest) -> SensitivityResult:
    """Write layers.json: the layers in the order of the graph."""
    import torch

    with start.own_modules():
        events.progress("loading the checkpoint")
        options = request.options
        model = transformers_generate.load(request.checkpoint, remote_code=options.remote_code, float32_below=options.float32_below)
        weights = [weight for weight in openvino_ir.read(request.export / XML).weights if weight.role == "matmul"]
        reference = spread(fidelity_files.read_reference(request.reference), options.windows)
        with torch.inference_mode():
            found = list(harms(model, modules(model, weights), reference, options))
    text = json.dumps([layer.model_dump(mode="json") for layer in found], indent=2) + "\n"
    (request.files / LAYERS).write_text(text, encoding="utf-8", newline="\n")
    return SensitivityResult(layers=len(found), positions=sum(len(window.scored) for window in reference.windows))


if __name__ == "__main__":
    start.run(run, SensitivityRequest)
