"""What a checkpoint is, known from its headers alone: enough to refuse a build before hours of work."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from bakehouse.errors import Failure
from bakehouse.formats import config_json, fields, safetensors_files
from bakehouse.formats.config_json import Config
from bakehouse.records import Written
from bakehouse.store import files


class Tensor(Written):
    """One tensor of a checkpoint: name, safetensors dtype ("BF16", "F16", "F32", ...) and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class Survey(Written):
    """Sizes and shapes of a checkpoint before it is downloaded.

    Attributes:
        download_bytes: size of all files that a download would fetch.
        config: config.json, as it is.
        tensors: every weight, from the safetensors headers.
        license: what the model card's front matter names, as the hub tells it ("apache-2.0", "llama3"); "" if it names none.
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
    """How many tokens prompt and answer may have together, by a config.json; None where it does not name it."""
    return fields.first(config, "seq_length", "max_position_embeddings")


def has_chat_template(folder: Path) -> bool:
    """Whether the tokenizer of a checkpoint that is here can make a prompt of a chat; of several templates it takes the default one."""
    if any((folder / name).exists() for name in ("chat_template.jinja", "additional_chat_templates/default.jinja")):
        return True
    settings = folder / "tokenizer_config.json"
    template = json.loads(settings.read_text(encoding="utf-8")).get("chat_template") if settings.exists() else None
    return any(one.get("name") == "default" for one in template) if isinstance(template, list) else bool(template)


def read_checkpoint(folder: Path) -> Survey:
    """The survey of a checkpoint that is here; its download is done, so that is 0 bytes.

    Raises:
        Failure: its weights are not safetensors.
    """
    return _read(folder, files.stamps(folder))


@functools.lru_cache(maxsize=64)  # every build of a checkpoint asks for it
def _read(folder: Path, stamps: files.Stamps) -> Survey:
    try:
        tensors = tuple(Tensor(name=name, dtype=dtype, shape=shape) for name, dtype, shape in safetensors_files.tensors(folder))
    except safetensors_files.NotSafetensors as error:
        raise Failure(
            "The checkpoint is not complete.",
            where=str(folder),
            remedy="Put a complete checkpoint into this folder.",
            details=safetensors_files.faults(folder),
        ) from error
    return Survey(download_bytes=0, config=config_json.read(folder), tensors=tensors)
