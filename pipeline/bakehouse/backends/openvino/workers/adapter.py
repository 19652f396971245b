"""Makes of a LoRA adapter what OpenVINO GenAI takes: with its scaling in its numbers, because the runtime reads no adapter_config.json.

The folder stays one that peft reads, to the same effect: adapter_config.json then says that nothing is scaled.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bakehouse.backends.openvino.adapters import CONFIG, WEIGHTS
from bakehouse.backends.openvino.seams import AdapterRequest, AdapterResult
from bakehouse.child import events, start

PREFIX = "base_model.model."  # of the names that LLMPipeline looks at
_NAME = re.compile(re.escape(PREFIX) + r"(?P<layer>.+)\.lora_(?P<part>[AB])\.weight")
_MERGE = "Have it merged (`adapters: merged`), or leave it out."
_MOST_NAMED = 3


def run(request: AdapterRequest) -> AdapterResult:
    """Write adapter_model.safetensors and adapter_config.json."""
    import torch
    from safetensors.torch import load_file, save_file

    config = json.loads((request.adapter / CONFIG).read_text(encoding="utf-8"))
    _refuse_other_kinds(config)
    events.progress("reading the adapter")
    tensors = load_file(request.adapter / WEIGHTS)
    pairs = paired(tensors)
    _refuse_unmatched(pairs, request.layers)
    made, widened = dict[str, Any](), 0
    for layer, (first, second) in pairs.items():
        factor = scaling(config, layer) * request.scale
        scaled = second.float() * factor
        exact = torch.equal(scaled.to(second.dtype).float(), scaled)
        widened += not exact
        made[f"{PREFIX}{layer}.lora_A.weight"] = first.contiguous()
        made[f"{PREFIX}{layer}.lora_B.weight"] = (scaled.to(second.dtype) if exact else scaled).contiguous()
    if widened:  # the runtime wants one precision of both matrices
        made = {name: tensor.float() for name, tensor in made.items()}
    request.files.mkdir(exist_ok=True)
    save_file(made, request.files / WEIGHTS, {"format": "pt"})
    (request.files / CONFIG).write_text(json.dumps(unscaled(config), indent=2, sort_keys=True) + "\n", encoding="utf-8", newline="\n")
    silent = tuple(layer for layer, pair in pairs.items() if not all(bool(one.any()) for one in pair))
    return AdapterResult(ranks={layer: int(first.shape[0]) for layer, (first, _) in pairs.items()}, silent=silent, widened=widened)


def _refuse_other_kinds(config: Mapping[str, Any]) -> None:
    """Refuse what peft would compute otherwise than as two matrices."""
    if (kind := config.get("peft_type")) != "LORA":
        events.refuse(f"The adapter is of the kind {kind}, and OpenVINO GenAI applies only LORA.", "Leave it out, or merge it yourself.")
    for field in ("use_dora", "lora_bias", "fan_in_fan_out", "layer_replication", "alora_invocation_tokens"):
        if config.get(field):
            events.refuse(f"The adapter has `{field}`, which OpenVINO GenAI does not apply.", _MERGE)


def paired(tensors: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The two matrices of each layer; anything else in the file ends here, because the runtime would pass over it."""
    found: dict[str, dict[str, Any]] = {}
    strange = []
    for name, tensor in sorted(tensors.items()):
        if (match := _NAME.fullmatch(name)) and tensor.ndim == 2:
            found.setdefault(match["layer"], {})[match["part"]] = tensor
        else:
            strange.append(name)
    strange += [f"{PREFIX}{layer}.lora_{part}.weight" for layer, parts in found.items() if len(parts) < 2 for part in parts]
    if strange:
        events.refuse(f"The adapter has tensors that OpenVINO GenAI would pass over: {_some(strange)}.", _MERGE)
    return {layer: (parts["A"], parts["B"]) for layer, parts in found.items()}


def _refuse_unmatched(pairs: Mapping[str, tuple[Any, Any]], layers: Sequence[str]) -> None:
    """Refuse an adapter of which the runtime would apply a part to no layer, or to several."""
    places = {layer: places_of(layer, layers) for layer in pairs}
    if lost := [layer for layer, found in places.items() if not found]:
        events.refuse(
            f"The model for OpenVINO has no layer that the adapter names {_some(lost)}, so its part would have no effect.", _MERGE
        )
    if unclear := [layer for layer, found in places.items() if len(found) > 1]:
        events.refuse(f"Several layers of the model for OpenVINO have names with {_some(unclear)}, and all would be changed.", _MERGE)


def places_of(layer: str, layers: Sequence[str]) -> list[str]:
    """The matrix products that the runtime takes for a layer of an adapter: LoRAWeightGetterDefault in src/cpp/src/lora/adapter.cpp."""
    return [name for name in layers if layer in name or layer in name.replace(".", "_")]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def scaling(config: Mapping[str, Any], layer: str) -> float:
    """What peft multiplies the two matrices of a layer with: `update_layer` in tuners/lora/layer.py, and `get_pattern_key`."""
    rank = _of_pattern(config, "rank_pattern", layer, config["r"])
    alpha = _of_pattern(config, "alpha_pattern", layer, config["lora_alpha"])
    return float(alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank)


def _of_pattern(config: Mapping[str, Any], field: str, layer: str, default: float) -> float:
    patterns: Mapping[str, float] = config.get(field) or {}
    return next((value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", layer)), default)


def unscaled(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of the same adapter when nothing is left to scale: alpha is the rank, everywhere."""
    ranks: Mapping[str, float] = config.get("rank_pattern") or {}
    return {**config, "lora_alpha": config["r"], "alpha_pattern": dict(ranks), "use_rslora": False}


if __name__ == "__main__":
    start.run(run, AdapterRequest)
