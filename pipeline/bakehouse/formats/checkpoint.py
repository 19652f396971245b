"""What a checkpoint's headers alone show: enough to refuse a build before hours of work."""

from __future__ import annotations

import functools
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.formats import config_json, fields, json_text, safetensors_files
from bakehouse.formats.config_json import Config
from bakehouse.records import Written
from bakehouse.store import files
from bakehouse.text import sentence


class Tensor(Written):
    """One tensor of a checkpoint: name, safetensors dtype ("BF16", "F16", "F32", ...) and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class Survey(Written):
    """Sizes and shapes of a checkpoint before it is downloaded.

    Attributes:
        download_bytes: size of all files that a download would fetch.
        config: config.json, unchanged.
        tensors: every weight, from the safetensors headers.
        license: of the model card's front matter, as the hub reports it ("apache-2.0", "llama3"); "" if it names none.
    """

    download_bytes: int
    config: Config
    tensors: tuple[Tensor, ...]
    license: str = ""

    @property
    def parameters(self) -> int:
        """Number of weights."""
        total = 0
        for tensor in self.tensors:
            count = 1
            for size in tensor.shape:
                count *= size
            total += count
        return total


def context_tokens(config: Config) -> int | None:
    """How many tokens prompt and answer may have together, from a config.json; None if it does not name it."""
    return fields.first(config, "seq_length", "max_position_embeddings")


def has_chat_template(folder: Path) -> bool:
    """Whether the tokenizer of a local checkpoint can make a prompt from a chat; of several templates it uses the default one."""
    if any((folder / name).exists() for name in ("chat_template.jinja", "additional_chat_templates/default.jinja")):
        return True
    try:
        settings = json_text.loads((folder / "tokenizer_config.json").read_bytes())
    except (OSError, ValueError):  # the checks before any work say so
        return False
    template = settings.get("chat_template") if isinstance(settings, dict) else None
    if isinstance(template, list):
        return any(isinstance(one, dict) and one.get("name") == "default" for one in template)
    return bool(template)


def read_checkpoint(folder: Path) -> Survey:
    """The survey of a local checkpoint, whose download_bytes are 0.

    Raises:
        Failure: its weights are not safetensors, or its config.json cannot be read.
    """
    return _read(folder, files.stamps(folder))


@functools.lru_cache(maxsize=64)  # every build of a checkpoint needs it
def _read(folder: Path, stamps: files.Stamps) -> Survey:
    try:
        tensors = tuple(Tensor(name=name, dtype=dtype, shape=shape) for name, dtype, shape in safetensors_files.tensors(folder))
        return Survey(download_bytes=0, config=config_json.read(folder), tensors=tensors)
    except safetensors_files.NotSafetensors:
        details = safetensors_files.faults(folder)
    except (OSError, ValueError) as error:
        details = (sentence(str(error)),)
    raise Failure("The checkpoint is not complete.", where=str(folder), remedy="Put a complete checkpoint in this folder.", details=details)
