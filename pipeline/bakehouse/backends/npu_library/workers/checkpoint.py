"""Writes a checkpoint's configs for transformers 4.46, exactly, or refuses it: names of config fields that changed since.

transformers 5 writes `dtype` for `torch_dtype` and puts all about rotary embeddings under `rope_parameters` (modeling_rope_utils.py);
4.46 reads `rope_theta`, `partial_rotary_factor` and `rope_scaling`. Tokenizers that 5 calls TokenizersBackend are PreTrainedTokenizerFast.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from bakehouse.child import events
from bakehouse.formats import fields
from bakehouse.formats.fields import Fields
from bakehouse.tasks.text_generation.workers import end_tokens

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja")
_GENERIC_TOKENIZERS = ("TokenizersBackend", "PreTrainedTokenizerFast")
_ROPE = frozenset({"rope_type", "rope_theta", "partial_rotary_factor"})
_REMEDY = "Take another runtime for this model: openvino-npu compiles it for the NPU with today's tools."


def copy(checkpoint: Path, folder: Path) -> None:
    """Fill a new folder: weights linked, configs written anew, code of the repository left out."""
    folder.mkdir()
    for path in sorted(checkpoint.iterdir()):
        if path.suffix == ".safetensors":
            link(path, folder / path.name)
        elif path.name == "model.safetensors.index.json" or path.name in TOKENIZER_FILES:
            shutil.copyfile(path, folder / path.name)
    write(folder / "config.json", config(read(checkpoint / "config.json")))
    if (checkpoint / "generation_config.json").exists():
        write(folder / "generation_config.json", without_version(read(checkpoint / "generation_config.json")))
    if ends := end_tokens.of(checkpoint):
        end_tokens.complete(checkpoint, folder, ends)
    template = checkpoint / "chat_template.jinja"
    text = template.read_text(encoding="utf-8") if template.exists() else None
    write(folder / "tokenizer_config.json", tokenizer_config(read(checkpoint / "tokenizer_config.json"), text))


def link(path: Path, target: Path) -> None:
    """Give the weights a second name; a copy where the file system has none for it."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def config(newer: Fields) -> Fields:
    """config.json as 4.46 reads it."""
    kept = {name: value for name, value in newer.items() if name not in ("auto_map", "dtype", "rope_parameters")}
    dtype = {"torch_dtype": newer["dtype"]} if "dtype" in newer else {}
    if reasons := strange_rope(newer):
        events.refuse(f"{reasons[0]}.", _REMEDY)
    parameters = fields.nested(newer, "rope_parameters")
    rope = {"rope_theta": parameters["rope_theta"], "rope_scaling": None} if parameters else {}
    return {**without_version(kept), **dtype, **rope}


def strange_rope(config: Fields) -> list[str]:
    """What a config has of rotary embeddings, in the newer or the older fields, that this backend does not take; sentences."""
    parameters, scaling = fields.nested(config, "rope_parameters"), fields.nested(config, "rope_scaling")
    kind = fields.text(parameters, "rope_type") or "default"
    strange = sorted(parameters.keys() - _ROPE) or ([kind] if kind != "default" else [])
    reasons = [f"transformers 4.46 has no way to say this model's rotary embeddings: {', '.join(strange)}"] if strange else []
    if scaling:
        kind = fields.text(scaling, "rope_type") or fields.text(scaling, "type") or "unknown"
        reasons.append(f"this backend compiles models with plain rotary embeddings, and this one scales them: {kind}")
    factors = (fields.number(one, "partial_rotary_factor") for one in (parameters, config))
    if (factor := next((one for one in factors if one is not None), 1.0)) != 1.0:
        reasons.append(f"transformers 4.46 rotates all of a head for these models, this one only {factor:g} of it")
    return reasons


def tokenizer_config(newer: Fields, template: str | None) -> Fields:
    """tokenizer_config.json as 4.46 reads it: it knows no file of its own for the chat template."""
    made = {name: value for name, value in newer.items() if name not in ("auto_map", "backend", "is_local")}
    if made.get("tokenizer_class") in _GENERIC_TOKENIZERS:
        made["tokenizer_class"] = "PreTrainedTokenizerFast"
    if template is not None:
        made["chat_template"] = template
    return made


def without_version(config: Fields) -> Fields:
    """Without the version that wrote it, which would not be true of what is written now."""
    return {name: value for name, value in config.items() if name != "transformers_version"}


def read(path: Path) -> Fields:
    """A JSON object."""
    found: Fields = json.loads(path.read_text(encoding="utf-8"))
    return found


def write(path: Path, content: Fields) -> None:
    """A JSON object, as transformers lays it out."""
    path.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
