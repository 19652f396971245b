"""The first layers of a checkpoint as a checkpoint of its own: real weights and structure at a fraction of the cost."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from bakehouse.formats import config_json, fields, safetensors_files
from bakehouse.formats.config_json import Config

Shape = tuple[int, ...]

# A weight of a layer: "model.layers.3.mlp.up_proj.weight", "transformer.h.0.attn.c_attn.weight", "model.decoder.layers.2.fc1.bias".
_LAYER = re.compile(r"^(?:[\w]+\.)*?(?:layers|h|blocks|block)\.(\d+)\.(.+)$")
_COUNTS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_EMBEDDING = re.compile(r"embed|wte|wpe|word_embeddings")
_LEAST = 2
_BLOCK_BYTES = 1 << 24


def layer_of(name: str) -> int | None:
    """The number of the layer that a weight belongs to; None for embeddings, the last norm and the head."""
    found = _LAYER.match(name)
    return int(found[1]) if found else None


def layers_of(config: Config, shapes: Mapping[str, Shape]) -> int:
    """How many layers a model has."""
    named = fields.first(config, *_COUNTS)
    return named if named is not None else 1 + max((layer_of(name) or 0 for name in shapes), default=0)


def layer_weights(shapes: Mapping[str, Shape], layers: int) -> dict[str, Shape]:
    """The weights of the first layers."""
    return {name: shape for name, shape in shapes.items() if (number := layer_of(name)) is not None and number < layers}


def head_weights(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """The last matrix: lm_head, or the embedding where the two are one."""
    outer = {name: shape for name, shape in shapes.items() if layer_of(name) is None and len(shape) == 2}
    own = {name: shape for name, shape in outer.items() if not _EMBEDDING.search(name) or "embed_out" in name}
    largest = max(own or outer, key=lambda name: outer[name][0] * outer[name][1], default=None)
    return {largest: outer[largest]} if largest else {}


def shortest(config: Config, shapes: Mapping[str, Shape], least: int = _LEAST) -> int:
    """The fewest first layers, at least so many, among which is one of every kind; all where they cannot be taken out by their names.

    Kinds are known by what the configuration lists for each layer, and by the names and shapes of the weights.
    """
    of = layers_of(config, shapes)
    numbers = {number for name in shapes if (number := layer_of(name)) is not None}
    if len(numbers) != of or numbers != set(range(of)) or fields.first(config, *_COUNTS) is None:
        return of
    lists = [value for _, value in sorted(_by_layer(config, of).items())]
    weights: dict[int, list[tuple[str, Shape]]] = {number: [] for number in range(of)}
    for name, shape in sorted(shapes.items()):
        if (number := layer_of(name)) is not None:
            weights[number].append((name.replace(f".{number}.", ".N.", 1), shape))
    kinds = [repr(([values[number] for values in lists], weights[number])) for number in range(of)]
    most = max(kinds.index(kind) for kind in kinds) + 1
    for name in ("sliding_window_pattern", "no_rope_layer_interval", "global_attn_every_n_layers", "decoder_sparse_step"):
        if (step := fields.integer(config, name)) is not None:
            most = max(most, step)
    if config.get("use_sliding_window") and (full := fields.integer(config, "max_window_layers") or 0) < of:
        most = max(most, full + 1)
    return min(of, max(least, most))


def _by_layer(config: Config, of: int) -> dict[str, list[object]]:
    """The fields that list something for each layer."""
    lists = {name: value for name, value in config.items() if isinstance(value, list) and "token" not in name}
    return {name: value for name, value in lists.items() if len(value) == of > _LEAST}


def cut_config(config: Config, layers: int, of: int) -> Config:
    """The configuration of the first layers alone."""
    counts = {name: layers for name in _COUNTS if config.get(name) == of}
    lists = {name: value[:layers] for name, value in _by_layer(config, of).items()}
    return {**config, **lists, **counts}


def write_config(checkpoint: Path, files: Path, layers: int, of: int) -> None:
    """Write the config.json of the first layers alone."""
    cut = cut_config(config_json.read(checkpoint), layers, of)
    (files / config_json.NAME).write_text(json.dumps(cut, indent=2), encoding="utf-8", newline="\n")


def write(checkpoint: Path, files: Path, layers: int, of: int) -> None:
    """Fill the empty folder `files` with the first layers of a checkpoint: its weights copied, everything else as links or copies."""
    write_config(checkpoint, files, layers, of)
    names = safetensors_files.weight_files(checkpoint)
    for path in sorted(checkpoint.iterdir()):
        if path.is_file() and path.name not in (config_json.NAME, safetensors_files.INDEX, *names):
            place(path, files / path.name)
    _weights([checkpoint / name for name in names], files / safetensors_files.SINGLE, layers)


def link(checkpoint: Path, files: Path, layers: int, of: int) -> bool:
    """Fill the empty folder `files` with the configuration of the first layers, and all else as links: the weights of all layers.

    False, and the folder is as it was, where the file system has no links.
    """
    made: list[Path] = []
    for path in sorted(checkpoint.iterdir()):
        if path.is_file() and path.name != config_json.NAME:
            try:
                os.link(path.resolve(), files / path.name)
            except OSError:
                for one in made:
                    one.unlink()
                return False
            made.append(files / path.name)
    write_config(checkpoint, files, layers, of)
    return True


def place(path: Path, to: Path) -> None:
    """A hard link, or a copy where that cannot be."""
    try:
        os.link(path, to)
    except OSError:
        shutil.copyfile(path, to)


def _weights(sources: list[Path], to: Path, layers: int) -> None:
    """One safetensors file of all weights but those of later layers, byte for byte."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    spans: list[tuple[Path, int, int]] = []
    at = 0
    for path in sources:
        with path.open("rb") as opened:
            length = safetensors_files.header_length(opened.read(safetensors_files.LENGTH_BYTES))
            entries = safetensors_files.entries(opened.read(length))
        for name, entry in sorted(entries.items(), key=lambda item: item[1].start):
            if (number := layer_of(name)) is not None and number >= layers:
                continue
            size = entry.end - entry.start
            header[name] = {"dtype": entry.dtype, "shape": entry.shape, "data_offsets": [at, at + size]}
            spans.append((path, safetensors_files.LENGTH_BYTES + length + entry.start, size))
            at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with to.open("wb") as out:
        out.write(len(text).to_bytes(safetensors_files.LENGTH_BYTES, "little") + text)
        for path, start, size in spans:
            _copy(path, start, size, out)


def _copy(path: Path, start: int, size: int, out: IO[bytes]) -> None:
    with path.open("rb") as opened:
        opened.seek(start)
        while size > 0:
            block = opened.read(min(size, _BLOCK_BYTES))
            if not block:
                raise EOFError(f"{path.name} ends before its weights do")
            out.write(block)
            size -= len(block)
