"""Reads what safetensors files say about themselves, without loading a weight and without the safetensors distribution.

The format: eight bytes, the length of a JSON header (little endian), the header, the weights
(https://huggingface.co/docs/safetensors/index#format).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from operator import index
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from bakehouse.formats import config_json

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
# Of the models of a pipeline of diffusers, whose own have the second name.
_OF_PIPELINES = ((SINGLE, INDEX), ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.safetensors.index.json"))
LENGTH_BYTES = 8
MOST_HEADER_BYTES = 100_000_000  # the format's own limit
_CHUNK = 1 << 22


class Tensor(NamedTuple):
    """One tensor: name, dtype as the format spells it ("BF16", "F16", "F32", ...) and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class Entry(NamedTuple):
    """What a header has on one tensor: dtype, shape, and where its bytes begin and end behind the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class NotSafetensors(ValueError):
    """The bytes are not a safetensors header, or not an index of such files."""


def header_length(first: bytes) -> int:
    """Length of the JSON header, from the file's first eight bytes."""
    length = int.from_bytes(first[:LENGTH_BYTES], "little")
    if len(first) < LENGTH_BYTES or not 2 <= length <= MOST_HEADER_BYTES:
        raise NotSafetensors("it does not begin with the length of a header")
    return length


def entries(header: bytes) -> dict[str, Entry]:
    """What a JSON header has on each tensor, in its order.

    Raises:
        NotSafetensors: it is not such a header.
    """
    try:
        found = json.loads(header)
        found.pop("__metadata__", None)
        return {name: Entry(one["dtype"], tuple(map(index, one["shape"])), *map(index, one["data_offsets"])) for name, one in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise NotSafetensors("its header cannot be read") from error


def described(header: bytes) -> tuple[tuple[Tensor, ...], int]:
    """The tensors that a JSON header describes, in the order of their names, and how many bytes of weights follow it."""
    found = entries(header)
    tensors = tuple(Tensor(name, entry.dtype, entry.shape) for name, entry in sorted(found.items()))
    return tensors, max((entry.end for entry in found.values()), default=0)


def shards(listing: object) -> tuple[str, ...]:
    """The files that a weights index names, in order.

    Raises:
        NotSafetensors: it is not such an index.
    """
    match listing:
        case {"weight_map": dict(weights)} if all(isinstance(name, str) for name in weights.values()):
            return tuple(sorted(set(weights.values())))
        case _:
            raise NotSafetensors("it has no `weight_map` of weights and files")


def weight_files(files: Path) -> tuple[str, ...]:
    """Names of the files that hold a checkpoint's weights: a single file has precedence over an index, as in transformers."""
    if (files / SINGLE).exists():
        return (SINGLE,)
    if (files / INDEX).exists():
        return shards(json.loads((files / INDEX).read_text(encoding="utf-8")))
    return tuple(_of_pipeline(files)) if config_json.is_pipeline(files) else ()


def _of_pipeline(files: Path) -> Iterator[str]:
    """The files with weights of the models of a pipeline."""
    for folder in sorted(path.parent for path in files.glob("*/config.json")):
        for single, listing in _OF_PIPELINES:
            if (folder / single).is_file():
                yield f"{folder.name}/{single}"
            elif (folder / listing).is_file():
                yield from (f"{folder.name}/{name}" for name in shards(json.loads((folder / listing).read_text(encoding="utf-8"))))


def tensors(files: Path) -> tuple[Tensor, ...]:
    """Every tensor of a checkpoint directory, file by file; of a pipeline's models with the name of its folder before it."""
    found = ((name, tensor) for name in weight_files(files) for tensor in _read(files / name)[0])
    return tuple(tensor._replace(name=f"{PurePosixPath(name).parent}/{tensor.name}") if "/" in name else tensor for name, tensor in found)


def faults(files: Path) -> tuple[str, ...]:
    """What is wrong with a checkpoint directory, from the names, headers and sizes of its files; a sentence each."""
    pipeline = config_json.is_pipeline(files)
    wrong = [] if pipeline or (files / config_json.NAME).is_file() else [f"{config_json.NAME} is missing."]
    if not pipeline and not any((files / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")):
        wrong.append("The tokenizer's files are missing.")
    names = weight_files(files)
    if not names:
        return (*wrong, "The weights are missing.")
    present: set[str] = set()
    for name in names:
        path = files / name
        if not path.is_file():
            wrong.append(f"{name} is missing.")
            continue
        try:
            found, size = _read(path)
        except NotSafetensors as error:
            wrong.append(f"{name} is not a safetensors file: {error}.")
            continue
        present.update(tensor.name for tensor in found)
        if path.stat().st_size != size:
            wrong.append(f"{name} has {path.stat().st_size} bytes, and should have {size} according to its header.")
    if not wrong and names != (SINGLE,) and not pipeline:
        listed = set(json.loads((files / INDEX).read_text(encoding="utf-8"))["weight_map"])
        wrong += [f"The weight {name} is in the index and in no file." for name in sorted(listed - present)]
    return tuple(wrong)


def equal(files: Path, one: str, other: str) -> bool:
    """Whether two tensors of a checkpoint directory have the same type, shape and bytes.

    Raises:
        KeyError: the checkpoint has no such tensor.
    """
    places = {name: place for name, place in _places(files) if name in (one, other)}
    (first, kind, start, end), (second, other_kind, other_start, other_end) = places[one], places[other]
    if kind != other_kind or end - start != other_end - other_start:
        return False
    with first.open("rb") as left, second.open("rb") as right:
        left.seek(start)
        right.seek(other_start)
        for at in range(start, end, _CHUNK):
            size = min(_CHUNK, end - at)
            if left.read(size) != right.read(size):
                return False
    return True


def _places(files: Path) -> Iterator[tuple[str, tuple[Path, tuple[str, tuple[int, ...]], int, int]]]:
    """Of every tensor its name, file, type with shape, and where its bytes begin and end in that file."""
    for name in weight_files(files):
        with (files / name).open("rb") as opened:
            length = header_length(opened.read(LENGTH_BYTES))
            found = entries(opened.read(length))
        for tensor, entry in found.items():
            base = LENGTH_BYTES + length
            yield tensor, (files / name, (entry.dtype, entry.shape), base + entry.start, base + entry.end)


def _read(path: Path) -> tuple[tuple[Tensor, ...], int]:
    """The tensors of one file, and the size in bytes that the file must have."""
    with path.open("rb") as opened:
        length = header_length(opened.read(LENGTH_BYTES))
        found, weights = described(opened.read(length))
    return found, LENGTH_BYTES + length + weights
