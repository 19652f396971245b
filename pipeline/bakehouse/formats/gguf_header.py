"""What a GGUF file has in its header, read without the `gguf` package, and what of it cannot be read exactly: known before any work.

The format is that of ggml's docs/gguf.md (version 2 and 3, little-endian).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from bakehouse.formats import fields

Metadata = Mapping[str, Any]  # the key-value pairs of a GGUF file: texts, numbers, truth values, and arrays of them

ANOTHER_SOURCE = "Take the model's safetensors checkpoint as the source instead."
ARCHITECTURES = ("llama", "qwen2")
# The keys under the architecture's name that transformers 5.5 reads, shown by a test that compares logits.
# Any other key that has an effect makes another model: scaled rotary embeddings, experts, ...
CARRIED = frozenset(
    {
        "context_length",
        "block_count",
        "feed_forward_length",
        "embedding_length",
        "rope.dimension_count",
        "rope.freq_base",
        "attention.head_count",
        "attention.head_count_kv",
        "attention.layer_norm_rms_epsilon",
        "vocab_size",
    }
)
# How a text is cut before the merges (`tokenizer.ggml.pre`): kinds whose rules are public and known exactly.
PRE_TOKENIZERS = ("gpt-2", "llama-bpe", "qwen2", "smollm")
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_KEEP = 64  # elements of an array; the vocabulary is not needed here


class NotGGUF(Exception):
    """The file is not a GGUF that can be read; with the reason."""


def read(path: Path) -> Metadata:
    """The key-value pairs of the file; of an array no more than its first elements.

    Raises:
        NotGGUF: it has another magic number, is cut short, or is of another version.
    """
    with path.open("rb") as file:
        return read_from(file)


def read_from(file: IO[bytes]) -> Metadata:
    """The same of an open file, which may be elsewhere; no more of it is read than its header."""
    try:
        if file.read(4) != b"GGUF":
            raise NotGGUF("it does not begin with GGUF")
        version, _, pairs = struct.unpack("<IQQ", _take(file, 20))
        if version not in (2, 3):
            raise NotGGUF(f"its version is {version}; 2 and 3 can be read")
        return dict(_pair(file) for _ in range(pairs))
    except (struct.error, UnicodeDecodeError) as error:
        raise NotGGUF("it ends in the middle of its header, or its header is damaged") from error


def faults(metadata: Metadata) -> Iterator[tuple[str, list[str]]]:
    """What cannot be read exactly: a sentence each, and the keys that it is about."""
    if (parts := fields.integer(metadata, "split.count") or 0) > 1:
        yield (
            f"The GGUF is part {(fields.integer(metadata, 'split.no') or 0) + 1} of {parts}; only a file with the whole model is read.",
            [],
        )
    architecture = metadata.get("general.architecture")
    if architecture not in ARCHITECTURES:
        known = " and ".join(ARCHITECTURES)
        yield f'The GGUF\'s architecture is "{architecture}", and only {known} are shown to be read exactly.', []
        return
    if lost := not_carried(str(architecture), metadata):
        yield "The GGUF describes parts of the model that its reader ignores.", lost
    yield from _tokenizer(metadata)


def not_carried(architecture: str, metadata: Metadata) -> list[str]:
    """`key = value` of all that would be left out and has an effect."""
    own = {key.removeprefix(f"{architecture}."): value for key, value in metadata.items() if key.startswith(f"{architecture}.")}
    head = (fields.integer(own, "embedding_length") or 0) // max(1, fields.integer(own, "attention.head_count") or 1)
    without_effect = {
        "attention.key_length": head,
        "attention.value_length": head,
        "rope.dimension_count": head,
        "rope.scaling.type": "none",
        "expert_count": 0,
        "expert_used_count": 0,
    }
    lost = [
        f"{architecture}.{key} = {value}"
        for key, value in own.items()
        if (key not in CARRIED and key not in without_effect) or (key in without_effect and value != without_effect[key])
    ]
    if metadata.get("general.name") == "mistral":  # transformers takes the name for an architecture of its own
        lost.append('general.name = "mistral" (another architecture to the reader)')
    return lost


def _tokenizer(metadata: Metadata) -> Iterator[tuple[str, list[str]]]:
    model, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    if model != "gpt2":
        kind = f'of the kind "{model}"' if model else "of an unnamed kind"
        yield f"The GGUF's tokenizer is {kind}, and only gpt2 (byte-level BPE) can be read exactly.", []
    elif pre is None:
        yield "The GGUF does not say how its tokenizer splits text (tokenizer.ggml.pre), as files made before May 2024 do not.", []
    elif pre not in PRE_TOKENIZERS:
        yield f'The GGUF\'s tokenizer splits text the way "{pre}" does; only {", ".join(PRE_TOKENIZERS)} are known exactly.', []
    elif metadata.get("tokenizer.ggml.add_space_prefix"):
        yield "The GGUF's byte-level BPE tokenizer puts a space before every text, which no known model of this kind does.", []
    ends = ("eos_token_id", "eot_token_id", "eom_token_id")
    if not metadata.get("tokenizer.chat_template") and not any(f"tokenizer.ggml.{name}" in metadata for name in ends):
        yield "The GGUF names no token that ends an answer (tokenizer.ggml.eos_token_id), so answers would not end.", []


def _pair(file: IO[bytes]) -> tuple[str, Any]:
    name = _text(file)
    return name, _value(file, _number(file, "I"))


def _value(file: IO[bytes], kind: int) -> Any:
    if kind == _TEXT:
        return _text(file)
    if kind == _ARRAY:
        inner, count = _number(file, "I"), _number(file, "Q")
        kept = [_value(file, inner) for _ in range(min(count, _KEEP))]
        _pass(file, inner, count - len(kept))
        return kept
    if kind not in _NUMBERS:
        raise NotGGUF(f"it has a value of the unknown type {kind}")
    return _number(file, _NUMBERS[kind])


def _pass(file: IO[bytes], kind: int, count: int) -> None:
    """Skip `count` values."""
    if kind in _NUMBERS:
        file.seek(struct.calcsize(f"<{_NUMBERS[kind]}") * count, 1)
        return
    for _ in range(count):
        if kind == _TEXT:
            file.seek(_number(file, "Q"), 1)
        else:
            _value(file, kind)


def _number(file: IO[bytes], kind: str) -> Any:
    return struct.unpack(f"<{kind}", _take(file, struct.calcsize(f"<{kind}")))[0]


def _text(file: IO[bytes]) -> str:
    return _take(file, _number(file, "Q")).decode("utf-8", errors="replace")


def _take(file: IO[bytes], size: int) -> bytes:
    if size > 1 << 28:
        raise NotGGUF("its header is damaged")
    return file.read(size)
