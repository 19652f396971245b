"""Names what a folder of model files is when it is not a checkpoint in the Hugging Face layout: an adapter, or Mistral's own format."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection

from bakehouse.formats import fields, json_text, safetensors_files
from bakehouse.sources.workers.unfit import Unfit

_ADAPTER = "adapter_config.json"


def refuse(names: Collection[str], read: Callable[[str], bytes]) -> None:
    """Raise Unfit if `names` are the files of something else; `read` gives a file's bytes."""
    weights = safetensors_files.SINGLE in names or safetensors_files.INDEX in names
    if _ADAPTER in names and not weights:
        raise _adapter(read(_ADAPTER))
    pickled = any(name.endswith(".bin") for name in names)  # converted once, and refused elsewhere
    mistral = sorted(name for name in names if name == "tekken.json" or re.fullmatch(r"consolidated.*\.safetensors", name))
    if mistral and not weights and not pickled:
        raise Unfit(
            "This model is in Mistral's own format, which transformers does not read.",
            "Take a repository of the same model in the Hugging Face layout: config.json, model.safetensors and tokenizer.json.",
            mistral,
        )


def _adapter(raw: bytes) -> Unfit:
    base = ""
    with contextlib.suppress(ValueError):
        settings = json_text.loads(raw)
        base = fields.text(settings, "base_model_name_or_path") if isinstance(settings, dict) else ""
    of = f" of {base}" if base else ""
    return Unfit(
        f"This is an adapter (LoRA){of}, a change to a model and not a model.",
        "Let the source name its base model, and this one under `adapters` of that source.",
    )
