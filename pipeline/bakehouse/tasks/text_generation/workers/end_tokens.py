"""Which tokens end an answer, by a checkpoint's files: generation_config.json, else config.json, else the tokenizer's own end token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

GENERATION = "generation_config.json"
NOWHERE = "No file of the checkpoint names a token that ends an answer, so answers would not end."
REMEDY = "Take a checkpoint whose generation_config.json names it as eos_token_id."
_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json")


def of(folder: Path) -> list[int]:
    """The ids that end an answer, in order; empty if no file names one.

    transformers reads generation_config.json alone where it exists, also if it names no end token, and never stops then; an author
    who names the token in one of the other files means it.
    """
    config = _json(folder / "config.json")
    for told in (_json(folder / GENERATION), config, config.get("text_config") or {}):
        if named := listed(told.get("eos_token_id")):
            return named
    return _of_tokenizer(folder)


def listed(told: int | list[int] | None) -> list[int]:
    """The ids that a configuration's `eos_token_id` names, in order."""
    return sorted(set(as_named(told)))


def as_named(told: int | list[int] | None) -> list[int]:
    """The same as they stand there."""
    return told if isinstance(told, list) else [] if told is None else [told]


def complete(checkpoint: Path, files: Path, ends: list[int]) -> bool:
    """Have generation_config.json in `files` name exactly the end tokens `ends`; whether it had to be written.

    transformers 5.5 refuses to save a generation config that sets, say, a temperature without do_sample
    (GenerationConfig.save_pretrained), and optimum-intel then leaves the file out: the checkpoint's own takes its place.
    """
    path = files / GENERATION
    made = _json(path) if path.exists() else _json(checkpoint / GENERATION)
    if path.exists() and listed(made.get("eos_token_id")) == ends:
        return False
    made["eos_token_id"] = ends if len(ends) > 1 else ends[0]
    path.write_text(json.dumps(made, indent=2, sort_keys=True) + "\n", encoding="utf-8", newline="\n")
    return True


def _of_tokenizer(folder: Path) -> list[int]:
    """The id of the end token that the tokenizer's settings name by its text."""
    named = next((told for name in _SETTINGS if (told := _json(folder / name).get("eos_token"))), None)
    text = named.get("content") if isinstance(named, dict) else named
    if text is None:
        return []
    engine = _json(folder / "tokenizer.json")
    added = {token.get("content"): token.get("id") for token in engine.get("added_tokens") or []}
    vocabulary = (engine.get("model") or {}).get("vocab")
    told = added.get(text, vocabulary.get(text) if isinstance(vocabulary, dict) else None)
    return listed(told)


def _json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none. What is not readable, others say."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(told) if isinstance(told, Mapping) else {}
