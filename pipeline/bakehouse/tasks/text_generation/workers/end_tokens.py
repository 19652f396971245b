"""Which tokens end an answer, by a checkpoint's files: generation_config.json, else config.json, else the tokenizer's own end token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from bakehouse.formats import fields

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
    for place in (_json(folder / GENERATION), config, fields.nested(config, "text_config")):
        if named := listed(place.get("eos_token_id")):
            return named
    return _of_tokenizer(folder)


def listed(named: object) -> list[int]:
    """The ids that a configuration's `eos_token_id` names, in order."""
    return sorted(set(as_named(named)))


def as_named(named: object) -> list[int]:
    """The same in the order in which the configuration names them."""
    return [one for one in (named if isinstance(named, list) else [named]) if isinstance(one, int)]


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
    named = next((end for name in _SETTINGS if (end := _json(folder / name).get("eos_token"))), None)
    text = named.get("content") if isinstance(named, dict) else named
    if not isinstance(text, str):
        return []
    engine = _json(folder / "tokenizer.json")
    added = {fields.text(token, "content"): token.get("id") for token in fields.objects(engine, "added_tokens")}
    return listed(added.get(text, fields.nested(fields.nested(engine, "model"), "vocab").get(text)))


def _json(path: Path) -> dict[str, object]:
    """A JSON object; empty where the file holds none. Who reads the checkpoint reports a file that is not readable."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(found) if isinstance(found, Mapping) else {}
