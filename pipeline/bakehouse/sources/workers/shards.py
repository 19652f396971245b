"""Writes the weights of a checkpoint that is made here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bakehouse.formats import safetensors_files
from bakehouse.sources.seams import SHARD_BYTES


def write_shards(tensors: Iterable[tuple[str, Any]], files: Path, shard_bytes: int = SHARD_BYTES) -> None:
    """Write tensors into one file, or into several with an index where they are more than `shard_bytes`."""
    from safetensors.torch import save_file

    shards: list[dict[str, int]] = []
    waiting: dict[str, Any] = {}
    waiting_bytes = 0

    def write() -> None:
        save_file(waiting, files / f"shard-{len(shards)}.safetensors", {"format": "pt"})
        shards.append({name: tensor.nbytes for name, tensor in waiting.items()})
        waiting.clear()

    for name, tensor in tensors:
        if waiting and waiting_bytes + tensor.nbytes > shard_bytes:
            write()
            waiting_bytes = 0
        waiting[name] = tensor.contiguous()
        waiting_bytes += tensor.nbytes
    write()
    if len(shards) == 1:
        shutil.move(files / "shard-0.safetensors", files / safetensors_files.SINGLE)
        return
    weight_map: dict[str, str] = {}
    for number, held in enumerate(shards):
        name = f"model-{number + 1:05}-of-{len(shards):05}.safetensors"
        shutil.move(files / f"shard-{number}.safetensors", files / name)
        weight_map |= dict.fromkeys(held, name)
    total = sum(size for held in shards for size in held.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (files / safetensors_files.INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8", newline="\n")
