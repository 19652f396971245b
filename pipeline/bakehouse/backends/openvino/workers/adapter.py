"""Makes of a LoRA adapter what OpenVINO GenAI takes: with its scaling in its numbers, because the runtime reads no adapter_config.json.

The folder stays one that peft reads, to the same effect: adapter_config.json then says that nothing is scaled.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from bakehouse.backends.openvino.adapters import CONFIG, PREFIX, WEIGHTS
from bakehouse.backends.openvino.seams import AdapterRequest, AdapterResult
from bakehouse.child import events, start

_NAME = re.compile(re.escape(PREFIX) + r"(?P<layer>.+)\.lora_(?P<part>[AB])\.weight")
_MERGE = "Have it merged (`adapters: merged`), or leave it out."
_MOST_NAMED = 3

Pair = tuple[Any, Any]  # matrices A and B of a layer


class Lora(BaseModel):
    """The fields of adapter_config.json that decide what an adapter adds, and those with which that is more than two matrices."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    peft_type: str
    r: int
    lora_alpha: float
    use_rslora: bool | None = False
    rank_pattern: dict[str, int] | None = None
    alpha_pattern: dict[str, float] | None = None
    use_dora: bool | None = False
    lora_bias: bool | None = False
    fan_in_fan_out: bool | None = False
    layer_replication: list[tuple[int, int]] | None = None
    alora_invocation_tokens: list[int] | None = None

    def scaling(self, layer: str) -> float:
        """What peft multiplies the two matrices of a layer with: `update_layer` in tuners/lora/layer.py, and `get_pattern_key`."""
        rank, alpha = _of_pattern(self.rank_pattern, layer, self.r), _of_pattern(self.alpha_pattern, layer, self.lora_alpha)
        return alpha / math.sqrt(rank) if self.use_rslora else alpha / rank


_MORE = ("use_dora", "lora_bias", "fan_in_fan_out", "layer_replication", "alora_invocation_tokens")


def _of_pattern(patterns: Mapping[str, float] | None, layer: str, default: float) -> float:
    return next((value for key, value in (patterns or {}).items() if re.match(rf"(.*\.)?({key})$", layer)), default)


def run(request: AdapterRequest) -> AdapterResult:
    """Write adapter_model.safetensors and adapter_config.json."""
    import torch
    from safetensors.torch import load_file, save_file

    config = json.loads((request.adapter / CONFIG).read_text(encoding="utf-8"))
    _refuse_other_kinds(config.get("peft_type"))
    lora = Lora.model_validate(config)
    _refuse_more(lora)
    events.progress("reading the adapter")
    pairs = paired(load_file(request.adapter / WEIGHTS))
    _refuse_unmatched(pairs, request.layers)
    made, widened = dict[str, Any](), 0
    for layer, (first, second) in pairs.items():
        scaled = second.float() * (lora.scaling(layer) * request.scale)
        exact = torch.equal(scaled.to(second.dtype).float(), scaled)
        widened += not exact
        made[f"{PREFIX}{layer}.lora_A.weight"] = first.contiguous()
        made[f"{PREFIX}{layer}.lora_B.weight"] = (scaled.to(second.dtype) if exact else scaled).contiguous()
    if widened:  # the runtime wants one precision of both matrices
        made = {name: tensor.float() for name, tensor in made.items()}
    request.files.mkdir(exist_ok=True)
    save_file(made, request.files / WEIGHTS, {"format": "pt"})
    # Of the same adapter when nothing is left to scale: alpha is the rank, everywhere.
    config |= {"lora_alpha": lora.r, "alpha_pattern": lora.rank_pattern or {}, "use_rslora": False}
    (request.files / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8", newline="\n")
    silent = tuple(layer for layer, pair in pairs.items() if not all(bool(one.any()) for one in pair))
    return AdapterResult(ranks={layer: int(first.shape[0]) for layer, (first, _) in pairs.items()}, silent=silent, widened=widened)


def _refuse_other_kinds(kind: object) -> None:
    if kind != "LORA":
        events.refuse(f"The adapter is of the kind {kind}, and OpenVINO GenAI applies only LORA.", "Leave it out, or merge it yourself.")


def _refuse_more(lora: Lora) -> None:
    """Refuse what peft would compute otherwise than as two matrices."""
    for field in _MORE:
        if getattr(lora, field):
            events.refuse(f"The adapter has `{field}`, which OpenVINO GenAI does not apply.", _MERGE)


def paired(tensors: Mapping[str, Any]) -> dict[str, Pair]:
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


def _refuse_unmatched(wanted: Collection[str], layers: Sequence[str]) -> None:
    """Refuse an adapter of which the runtime would apply a part to no layer, or to several."""
    places = {layer: places_of(layer, layers) for layer in wanted}
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


if __name__ == "__main__":
    start.run(run, AdapterRequest)
