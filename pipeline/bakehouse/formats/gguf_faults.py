"""What of a GGUF file cannot be read exactly, from its header alone: known before a download and before any work.

`sources/workers/gguf_config.py` and `gguf_tokenizer.py` carry what this module lets through, and tests compare each with the model that a
file was written from. What is in none of the tables is refused: left out in silence, it would make another model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bakehouse.formats import fields
from bakehouse.formats.gguf_header import Metadata

ANOTHER_SOURCE = "Take the model's safetensors checkpoint as the source instead."

# The keys under the architecture's name that every architecture has.
_CARRIED = frozenset(
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
# The architectures that transformers 5.5 reads and that a test has proven, each with the keys that it has besides.
# granite and smollm3 are not among those that transformers reads (integrations/ggml.py, GGUF_CONFIG_MAPPING).
_OWN: Mapping[str, frozenset[str]] = {
    "llama": frozenset({"attention.key_length"}),
    "qwen2": frozenset(),
    "qwen3": frozenset({"attention.key_length"}),
    "gemma2": frozenset({"attention.key_length", "attention.sliding_window", "attn_logit_softcapping", "final_logit_softcapping"}),
    "gemma3": frozenset({"attention.key_length", "attention.sliding_window", "rope.freq_base_swa"}),
    "phi3": frozenset({"attention.sliding_window", "rope.scaling.original_context_length", "rope.scaling.attn_factor"}),
}
ARCHITECTURES = tuple(_OWN)
_SCALED = {"gemma3": ("linear",)}  # the kinds of scaled rotary embeddings that are carried, with their factor
_PART_OF_A_HEAD = ("phi3",)  # where rotary embeddings may cover a part of each head

# How a text is cut before the merges (`tokenizer.ggml.pre`): kinds whose rules are public and known exactly.
PRE_TOKENIZERS = ("gpt-2", "llama-bpe", "qwen2", "smollm")
TOKENIZERS = ("gpt2", "llama")


def faults(metadata: Metadata) -> Iterator[tuple[str, list[str]]]:
    """What cannot be read exactly: a sentence each, and the keys that it is about."""
    if (parts := fields.integer(metadata, "split.count") or 0) > 1:
        yield (
            f"The GGUF is part {(fields.integer(metadata, 'split.no') or 0) + 1} of {parts}; only a file with the whole model is read.",
            [],
        )
    architecture = metadata.get("general.architecture")
    if architecture not in ARCHITECTURES:
        known = f"{', '.join(ARCHITECTURES[:-1])} and {ARCHITECTURES[-1]}"
        yield f'The GGUF\'s architecture is "{architecture}", and only {known} are shown to be read exactly.', []
        return
    if lost := not_carried(str(architecture), metadata):
        yield "The GGUF describes parts of the model that its reader ignores.", lost
    yield from tokenizer(metadata)


def own_keys(metadata: Metadata) -> dict[str, Any]:
    """The keys under the architecture's name, without it."""
    prefix = f"{metadata['general.architecture']}."
    return {key.removeprefix(prefix): value for key, value in metadata.items() if key.startswith(prefix)}


def head_size(own: Metadata) -> int:
    """The size of an attention head: named, or an even share of the hidden size."""
    share = (fields.integer(own, "embedding_length") or 0) // max(1, fields.integer(own, "attention.head_count") or 1)
    return fields.integer(own, "attention.key_length") or share


def not_carried(architecture: str, metadata: Metadata) -> list[str]:
    """`key = value` of all that would be left out and has an effect."""
    own = own_keys(metadata)
    carried = (_CARRIED | _OWN[architecture]) - {"rope.dimension_count"}
    without_effect = _without_effect(architecture, own)
    if own.get("rope.scaling.type") in _SCALED.get(architecture, ()):
        carried |= {"rope.scaling.type", "rope.scaling.factor"}
    lost = [
        f"{architecture}.{key} = {value}"
        for key, value in own.items()
        if (key not in carried or isinstance(value, list)) and (key not in without_effect or value not in without_effect[key])
    ]
    if metadata.get("general.name") == "mistral":  # transformers takes the name for an architecture of its own
        lost.append('general.name = "mistral" (another architecture to the reader)')
    return lost


def _without_effect(architecture: str, own: Metadata) -> dict[str, Any]:
    """The values of keys that say what is so without them, and of `rope.dimension_count` all that are carried."""
    head = head_size(own)
    return {
        "attention.key_length": (head_size({key: value for key, value in own.items() if key != "attention.key_length"}),),
        "attention.value_length": (head,),
        "rope.dimension_count": range(2, head + 1, 2) if architecture in _PART_OF_A_HEAD else (head,),
        "rope.scaling.type": ("none",),
        "expert_count": (0,),
        "expert_used_count": (0,),
    }


def tokenizer(metadata: Metadata) -> Iterator[tuple[str, list[str]]]:
    """The same of the tokenizer alone."""
    model = metadata.get("tokenizer.ggml.model")
    if model not in TOKENIZERS:
        kind = f'of the kind "{model}"' if model else "of an unnamed kind"
        yield f"The GGUF's tokenizer is {kind}, and only gpt2 (byte-level BPE) and llama (SentencePiece BPE) can be read exactly.", []
    elif model == "gpt2":
        yield from _byte_level(metadata)
    else:
        yield from _sentencepiece(metadata)
    if metadata.get("tokenizer.ggml.add_eos_token"):
        yield "The GGUF's tokenizer puts an end token behind every text (tokenizer.ggml.add_eos_token), so no answer could follow.", []
    ends = ("eos_token_id", "eot_token_id", "eom_token_id")
    if not metadata.get("tokenizer.chat_template") and not any(f"tokenizer.ggml.{name}" in metadata for name in ends):
        yield "The GGUF names no token that ends an answer (tokenizer.ggml.eos_token_id), so answers would not end.", []


def _byte_level(metadata: Metadata) -> Iterator[tuple[str, list[str]]]:
    pre = metadata.get("tokenizer.ggml.pre")
    if pre is None:
        yield "The GGUF does not say how its tokenizer splits text (tokenizer.ggml.pre), as files made before May 2024 do not.", []
    elif pre not in PRE_TOKENIZERS:
        yield f'The GGUF\'s tokenizer splits text the way "{pre}" does; only {", ".join(PRE_TOKENIZERS)} are known exactly.', []
    elif metadata.get("tokenizer.ggml.add_space_prefix"):
        yield "The GGUF's byte-level BPE tokenizer puts a space before every text, which no known model of this kind does.", []


def _sentencepiece(metadata: Metadata) -> Iterator[tuple[str, list[str]]]:
    """What a SentencePiece tokenizer may have and the reader does not carry; the models of the known architectures have none of it."""
    lacking = [name for name in ("scores", "token_type") if not metadata.get(f"tokenizer.ggml.{name}")]
    if lacking:
        keys = " and ".join(f"tokenizer.ggml.{name}" for name in lacking)
        yield f"The GGUF's SentencePiece tokenizer has no {keys}, so the order of its merges is not known.", []
    normalizes = [name for name in ("precompiled_charsmap", "remove_extra_whitespaces") if metadata.get(f"tokenizer.ggml.{name}")]
    if normalizes:
        keys = " and ".join(f"tokenizer.ggml.{name}" for name in normalizes)
        yield f"The GGUF's SentencePiece tokenizer changes texts before it cuts them ({keys}), which its reader does not.", []
