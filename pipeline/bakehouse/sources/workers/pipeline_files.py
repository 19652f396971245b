"""Which files of a folder make a pipeline of diffusers: models, tokenizers and a scheduler, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bakehouse.formats import config_json, safetensors_files
from bakehouse.sources.workers.unfit import Unfit

# What describes a part; a safety checker and what prepares its pictures are no part of what is converted.
_DESCRIBING = (
    "config.json", "scheduler_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "spiece.model",
    "special_tokens_map.json", "added_tokens.json",
)  # fmt: skip
_LEFT_OUT = frozenset({"safety_checker", "feature_extractor", "image_encoder"})
_COMPLETE = "Take a complete pipeline with safetensors weights, as `hf download` or diffusers writes it."


def belonging(folder: Path) -> tuple[str, ...]:
    """The paths of the files in a pipeline's folder.

    Raises:
        Unfit: a part is missing, its weights are no safetensors, or it is not described.
    """
    try:
        parts = {name for name, kind in config_json.read(folder).items() if isinstance(kind, list) and any(kind)} - _LEFT_OUT
        found = [config_json.PIPELINE, *(path for part in sorted(parts) for path in _part(folder, part)), *_weights(folder, parts)]
    except (ValueError, TypeError) as error:
        raise Unfit(f"The pipeline's files cannot be read: {error}.", _COMPLETE) from error
    return tuple(found)


def _part(folder: Path, part: str) -> Iterator[str]:
    """The files that describe a part, and the index of its weights."""
    names = [path.name for path in sorted((folder / part).glob("*")) if path.is_file()]
    describing = [name for name in names if name in _DESCRIBING]
    if not describing:
        raise Unfit(f"{config_json.PIPELINE} names {part}, and there is no description of it.", _COMPLETE)
    yield from (f"{part}/{name}" for name in (*describing, *(name for name in names if name.endswith(".safetensors.index.json"))))


def _weights(folder: Path, parts: set[str]) -> Iterator[str]:
    """The files with weights; Unfit for a model that has none."""
    found = [name for name in safetensors_files.weight_files(folder) if name.partition("/")[0] in parts]
    models = {path.parent.name for path in folder.glob("*/config.json")} & parts
    for part in sorted(models - {name.partition("/")[0] for name in found}):
        raise Unfit(f"{part} has no weights in safetensors.", _COMPLETE, tuple(sorted(path.name for path in (folder / part).glob("*"))))
    for name in found:
        if not (folder / name).is_file():
            raise Unfit(f"{name} is missing.", _COMPLETE)
    yield from found
