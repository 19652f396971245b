"""Whether a draft has the tokens of the model that it proposes them to, from the tokenizer.json of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bakehouse.formats import json_text

_FILE = "tokenizer.json"


def misfits(model: Path, draft: Path) -> tuple[str, ...]:
    """A sentence if the tokenizers in two checkpoints have other tokens; nothing where one has no tokenizer.json."""
    one, other = (_tokens(folder / _FILE) for folder in (model, draft))
    if one is None or other is None or one == other:
        return ()
    different = one.keys() ^ other.keys() | {text for text in one.keys() & other.keys() if one[text] != other[text]}
    return (f"its tokenizer has other tokens than the model's: {len(different):,} differ, as {min(different)!r} does",)


def _tokens(path: Path) -> dict[str, int] | None:
    """Every token and its id; None if the file has another form, which the runtime's own tokenizers are then compared for."""
    try:
        read: Any = json_text.loads(path.read_bytes())
        vocabulary = read["model"]["vocab"]
        pairs = vocabulary.items() if isinstance(vocabulary, dict) else ((piece[0], at) for at, piece in enumerate(vocabulary))
        return {**dict(pairs), **{one["content"]: one["id"] for one in read.get("added_tokens") or ()}}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
