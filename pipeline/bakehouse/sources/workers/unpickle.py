"""Turns pickled weights into safetensors, one file at a time; every other file is kept as it is.

torch reads them with `weights_only`: tensors, numbers and containers, nothing else. A pickle that asks for more is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bakehouse.child import events, start
from bakehouse.sources.seams import UnpickleRequest, UnpickleResult
from bakehouse.sources.workers import checkpoint_files, copy_local
from bakehouse.sources.workers.shards import write_shards

_REMEDY = "Take a repository or a commit with safetensors weights."


def run(request: UnpickleRequest) -> UnpickleResult:
    """Fill the folder `files`."""
    pickles = _pickles(request.checkpoint)
    copy_local.copy_others(request.checkpoint, request.files, (*pickles, checkpoint_files.PICKLED_INDEX))
    names: list[str] = []
    write_shards(_tensors(request.checkpoint, pickles, names), request.files)
    return UnpickleResult(tensors=len(names))


def _pickles(checkpoint: Path) -> tuple[str, ...]:
    index = checkpoint / checkpoint_files.PICKLED_INDEX
    if (checkpoint / checkpoint_files.PICKLED).is_file():
        return (checkpoint_files.PICKLED,)
    listed: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    return tuple(sorted(set(listed.values())))


def _tensors(checkpoint: Path, pickles: tuple[str, ...], names: list[str]) -> Iterator[tuple[str, Any]]:
    """Every tensor, file by file; `names` gets what they are called."""
    for number, name in enumerate(pickles):
        events.progress("converting pickled weights", number, len(pickles), "files")
        for tensor, value in sorted(_read(checkpoint / name).items()):
            names.append(tensor)
            yield tensor, value.clone()  # tied weights are one memory in a pickle, and two tensors in a file of safetensors


def _read(path: Path) -> dict[str, Any]:
    """The tensors of a pickle by name."""
    import pickle

    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError as error:
        first = str(error).strip().partition("\n")[0]
        events.refuse(f"{path.name} holds more than weights, so it is not read.", _REMEDY, [first])
    except (RuntimeError, EOFError, ValueError, OSError) as error:
        events.refuse(f"{path.name} cannot be read as weights of PyTorch.", _REMEDY, [str(error).strip().partition("\n")[0]])
    strange = sorted(str(name) for name, value in found.items() if not isinstance(value, torch.Tensor)) if isinstance(found, dict) else None
    if strange is None or strange:
        events.refuse(f"{path.name} is not a set of named tensors.", _REMEDY, strange or [])
    return dict(found)


def _is_zip(path: Path) -> bool:
    """Whether it has the form that PyTorch writes since 1.6, which can be mapped into memory."""
    with path.open("rb") as opened:
        return opened.read(2) == b"PK"


if __name__ == "__main__":
    start.run(run, UnpickleRequest)
