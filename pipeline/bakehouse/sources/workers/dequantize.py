"""Turns a quantized checkpoint into a plain one, a few gigabytes at a time; every other file is kept as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from bakehouse.child import events, start
from bakehouse.formats import config_json, quantized, safetensors_files
from bakehouse.formats.quantized import Weight
from bakehouse.sources.seams import DequantizeRequest, DequantizeResult
from bakehouse.sources.workers import copy_local
from bakehouse.sources.workers.checkpoint_tensors import Tensors
from bakehouse.sources.workers.shards import write_shards


def run(request: DequantizeRequest) -> DequantizeResult:
    """Fill the folder `files`."""
    config = config_json.read(request.checkpoint)
    if reason := quantized.why_not(config):
        events.refuse(f"The checkpoint cannot be dequantized: {reason}.", "Take the unquantized model that it was made from as the source.")
    weights = [path.name for path in request.checkpoint.glob("*.safetensors")]
    copy_local.copy_others(request.checkpoint, request.files, (*weights, safetensors_files.INDEX, config_json.NAME))
    text = json.dumps(quantized.plain_config(config), indent=2, ensure_ascii=False)
    (request.files / config_json.NAME).write_text(text + "\n", encoding="utf-8", newline="\n")
    with ExitStack() as opened:
        stored = tuple(safetensors_files.tensors(request.checkpoint))
        found = quantized.weights(config, stored)
        write_shards(_tensors(config, stored, Tensors(request.checkpoint, opened), found), request.files)
    return DequantizeResult(weights=len(found), method=quantized.method(config))


def _tensors(
    config: config_json.Config, stored: Sequence[safetensors_files.Tensor], read: Tensors, found: Iterable[Weight]
) -> Iterator[tuple[str, Any]]:
    """Every tensor of the plain checkpoint, in the order of their names."""
    from bakehouse.sources.workers import dequantized_weights

    by_name = {weight.name: weight for weight in found}
    dequantize = dequantized_weights.of(config)
    wanted = quantized.plain(config, stored)
    for number, (name, _, shape) in enumerate(wanted):
        events.progress("dequantizing weights", number, len(wanted))
        weight = by_name.get(name)
        if weight is None:
            yield name, read.get(name)
        else:
            yield name, dequantize(weight.name, {part: read.get(tensor.name) for part, tensor in weight.parts.items()}, shape)


if __name__ == "__main__":
    start.run(run, DequantizeRequest)
