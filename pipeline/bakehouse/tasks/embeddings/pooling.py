"""How the states of a text's tokens become one vector, as a checkpoint's files say it for sentence-transformers.

Sources: sentence-transformers 5 (`modules.json`, `models/Pooling.py`): modules in their order, of which the first is the transformer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakehouse.formats import fields, json_text, safetensors_files
from bakehouse.formats.fields import Fields
from bakehouse.records import Pooling, PoolingMode

MODULES = "modules.json"
# What sentence-transformers reads, and every program that has to know how vectors are made.
FILES = (
    MODULES,
    "1_Pooling/config.json",
    "2_Normalize/config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
)
_MODES: dict[str, PoolingMode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last_token",
}
_OTHERS = ("pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens")


class Unpooled(ValueError):
    """The files do not say it, or say what no runtime here does: a sentence."""


def read(folder: Path) -> Pooling:
    """What the checkpoint in a folder says.

    Raises:
        Unpooled: with the reason.
    """
    if not (folder / MODULES).is_file():
        raise Unpooled(f"it has no {MODULES}, so nothing says how the states of its tokens become one vector")
    try:
        modules: Any = json_text.loads((folder / MODULES).read_bytes())
        kinds = {str(one["type"]).rpartition(".")[2]: str(one["path"]) for one in modules}
    except (ValueError, KeyError, TypeError) as error:
        raise Unpooled(f"{MODULES} cannot be read: {error}") from error
    if strange := [kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]:
        raise Unpooled(f"{MODULES} has a module that no runtime here has: {', '.join(strange)}")
    if "Pooling" not in kinds:
        raise Unpooled(f"{MODULES} names no pooling")
    if not safetensors_files.is_plain(kinds["Pooling"]):
        raise Unpooled(f"{MODULES} names a folder outside the checkpoint for its pooling")
    mode = _mode(folder / kinds["Pooling"] / "config.json")
    return Pooling(mode=mode, normalize="Normalize" in kinds, max_tokens=_longest(folder / "sentence_bert_config.json"))


def _longest(path: Path) -> int | None:
    """The most tokens of a text, where the checkpoint names it: a runtime that is not told takes more, and gives another vector."""
    if not path.is_file():
        return None
    try:
        return fields.integer(_object(path), "max_seq_length")
    except ValueError as error:
        raise Unpooled(f"{path.name} cannot be read: {error}") from error


def _object(path: Path) -> Fields:
    found = json_text.loads(path.read_bytes())
    if not isinstance(found, Mapping):
        raise ValueError("it is not a JSON object")
    return found


def _mode(path: Path) -> PoolingMode:
    try:
        config = _object(path)
    except (OSError, ValueError) as error:
        raise Unpooled(f"{path.parent.name}/{path.name} cannot be read: {error}") from error
    chosen = [name for name in (*_MODES, *_OTHERS) if config.get(name)]
    if len(chosen) != 1 or chosen[0] not in _MODES:
        raise Unpooled(f"its pooling is {', '.join(chosen) or 'none'}; one of {', '.join(_MODES)} is made")
    return _MODES[chosen[0]]
