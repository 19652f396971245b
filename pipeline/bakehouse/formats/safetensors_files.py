"""Reads what safetensors files say about themselves, without loading a weight and without the safetensors distribution.

The format: eight bytes, the length of a JSON header (little endian), the header, the weights
(https://huggingface.co/docs/safetensors/index#format).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import index
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from bakehouse.formats import config_json, fields, json_text

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
# Of the models of a pipeline of diffusers, whose own have the second name.
_OF_PIPELINES = ((SINGLE, INDEX), ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.safetensors.index.json"))
LENGTH_BYTES = 8
MOST_HEADER_BYTES = 100_000_000  # the format's own limit
_MOST = 1 << 63  # the numbers of a header are of 64 bits
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
        found = json_text.loads(header)
        if not isinstance(found, dict):
            raise NotSafetensors("its header is not a JSON object")
        return {name: _entry(one) for name, one in found.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise NotSafetensors("its header cannot be read") from error


def _entry(one: Mapping[str, Any]) -> Entry:
    """One tensor of a header; a ValueError for sizes that no file can have."""
    sizes, (start, end) = tuple(map(index, one["shape"])), map(index, one["data_offsets"])
    if not isinstance(one["dtype"], str) or any(not 0 <= size < _MOST for size in (*sizes, start, end)) or end < start:
        raise ValueError(f"{one} is not a tensor")
    return Entry(one["dtype"], sizes, start, end)


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
            names = tuple(sorted(set(weights.values())))
        case _:
            raise NotSafetensors("it has no `weight_map` of weights and files")
    if elsewhere := [name for name in names if not is_plain(name)]:
        raise NotSafetensors(f"it names {elsewhere[0][:80]!r}, which is no file beside it")
    return names


def is_plain(name: str) -> bool:
    """Whether a text can be the name of a file in the same folder."""
    return name not in ("", ".", "..") and len(name) < 256 and not {"/", "\\", "\0"} & set(name)


def _listing(path: Path) -> object:
    """The index of a checkpoint's weights.

    Raises:
        NotSafetensors: it is not JSON.
    """
    try:
        return json_text.loads(path.read_bytes())
    except ValueError as error:
        raise NotSafetensors(f"{path.name} is not JSON") from error


def weight_files(files: Path) -> tuple[str, ...]:
    """Names of the files that hold a checkpoint's weights: a single file has precedence over an index, as in transformers.

    Raises:
        NotSafetensors: the index is none.
    """
    if (files / SINGLE).exists():
        return (SINGLE,)
    if (files / INDEX).exists():
        return shards(_listing(files / INDEX))
    return tuple(_of_pipeline(files)) if config_json.is_pipeline(files) else ()


def _of_pipeline(files: Path) -> Iterator[str]:
    """The files with weights of the models of a pipeline."""
    for folder in sorted(path.parent for path in files.glob("*/config.json")):
        for single, listing in _OF_PIPELINES:
            if (folder / single).is_file():
                yield f"{folder.name}/{single}"
            elif (folder / listing).is_file():
                yield from (f"{folder.name}/{name}" for name in shards(_listing(folder / listing)))


def tensors(files: Path) -> tuple[Tensor, ...]:
    """Every tensor of a checkpoint directory, file by file; of a pipeline's models with the name of its folder before it.

    Raises:
        NotSafetensors: a file or the index is none, or a file is missing.
    """
    found = ((name, tensor) for name in weight_files(files) for tensor in _read(files / name)[0])
    return tuple(tensor._replace(name=f"{PurePosixPath(name).parent}/{tensor.name}") if "/" in name else tensor for name, tensor in found)


def faults(files: Path) -> tuple[str, ...]:
    """What is wrong with a checkpoint directory, from the names, headers and sizes of its files; a sentence each."""
    pipeline = config_json.is_pipeline(files)
    wrong = [] if pipeline or (files / config_json.NAME).is_file() else [f"{config_json.NAME} is missing."]
    if not pipeline and not any((files / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")):
        wrong.append("The tokenizer's files are missing.")
    try:
        names = weight_files(files)
    except NotSafetensors as error:
        return (*wrong, f"{INDEX} is not an index of weights: {error}.")
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
        listing = _listing(files / INDEX)
        listed = set(fields.nested(listing, "weight_map") if isinstance(listing, dict) else ())
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
    if not path.is_file():
        raise NotSafetensors(f"{path.name} is missing")
    with path.open("rb") as opened:
        length = header_length(opened.read(LENGTH_BYTES))
        found, weights = described(opened.read(length))
    return found, LENGTH_BYTES + length + weights
