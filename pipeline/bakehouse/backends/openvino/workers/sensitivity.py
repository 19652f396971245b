"""Measures the harm of each linear layer: how far the source gets from itself with only that layer in 4 bits, rounded by NNCF."""

from __future__ import annotations

from typing import Any

from bakehouse.backends.openvino.layer_names import layer_of
from bakehouse.backends.openvino.seams import SensitivityRequest, SensitivitySpec
from bakehouse.child import events, start
from bakehouse.formats import openvino_ir
from bakehouse.formats.openvino_ir import Weight
from bakehouse.tasks.text_generation.layers import SensitivityResult
from bakehouse.tasks.text_generation.workers import layer_harm, transformers_generate
from bakehouse.tasks.text_generation.workers.layer_harm import Rounding

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


def rounding(node: str, module: Any, options: SensitivitySpec) -> Rounding:
    """How a layer is rounded."""
    weight = module.weight.data
    return Rounding(node, weight.numel(), (module,), lambda: (rounded(weight, options),))


def run(request: SensitivityRequest) -> SensitivityResult:
    """Write layers.json: the layers in the order of the graph."""
    with start.own_modules():
        events.progress("loading the checkpoint")
        options = request.options
        model = transformers_generate.load(request.checkpoint, remote_code=options.remote_code, float32_below=options.float32_below)
        weights = [weight for weight in openvino_ir.read(request.export / XML).weights if weight.role == "matmul"]
        layers = [rounding(node, module, options) for node, module in modules(model, weights).items()]
        return layer_harm.measure(model, layers, request.reference, options.windows, request.checkpoint, request.files)


if __name__ == "__main__":
    start.run(run, SensitivityRequest)
