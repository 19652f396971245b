"""Builds a tokenizer from a GGUF's own metadata, for the kinds whose rules are public and exactly known.

transformers' own reader guesses the kind from the architecture: SmolLM2, a Llama with a byte-level BPE, comes out as a
SentencePiece tokenizer that turns every space into `<|endoftext|>`. So `tokenizer.ggml.model` and `tokenizer.ggml.pre`
decide here, and a kind that is not in the table is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from bakehouse.child import events
from bakehouse.formats import gguf_faults
from bakehouse.formats.gguf_header import Metadata
from bakehouse.sources.workers import gguf_sentencepiece

# Token types of the GGUF specification (`tokenizer.ggml.token_type`).
CONTROL, USER_DEFINED = 3, 4

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def _bytes_only() -> Any:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def _split(pattern: str) -> Any:
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), behavior="isolated"), _bytes_only()])


def _gpt2() -> Any:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


# What each kind does to a text before the merges, from the tokenizer.json of the model family that gave the kind its name.
PRE_TOKENIZERS: Mapping[str, Callable[[], Any]] = {
    "gpt-2": _gpt2,
    "smollm": lambda: pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _gpt2()]),
    "llama-bpe": lambda: _split(_WORDS + r"\p{N}{1,3}" + _REST),
    "qwen2": lambda: _split(_WORDS + r"\p{N}" + _REST),
}
NORMALIZERS: Mapping[str, Callable[[], Any]] = {"qwen2": normalizers.NFC}
WHOLE_WORDS_FIRST = {"llama-bpe"}  # a pre-token that is in the vocabulary is taken as it is, merges or not
BEGINS_WITH_BOS = {"llama-bpe"}  # where the metadata does not say


def build(metadata: Metadata) -> PreTrainedTokenizerFast:
    """The tokenizer that `metadata` (a GGUF's key-value pairs) describes; refuses a kind that is not in the table."""
    for what, details in gguf_faults.tokenizer(metadata):
        events.refuse(what, gguf_faults.ANOTHER_SOURCE, details)
    pieces = metadata["tokenizer.ggml.model"] == "llama"
    pre = "" if pieces else metadata["tokenizer.ggml.pre"]
    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    engine = gguf_sentencepiece.engine(metadata) if pieces else _engine(pre, tokens, metadata["tokenizer.ggml.merges"])
    types = metadata.get("tokenizer.ggml.token_type", [])
    for kind, add in ((CONTROL, engine.add_special_tokens), (USER_DEFINED, engine.add_tokens)):
        add(
            [AddedToken(token, normalized=False, special=kind == CONTROL) for token, its in zip(tokens, types, strict=False) if its == kind]
        )
    special = special_tokens(metadata)
    if metadata.get("tokenizer.ggml.add_bos_token", pieces or pre in BEGINS_WITH_BOS):
        bos = special["bos_token"]
        engine.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokens.index(bos))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=engine,
        model_max_length=metadata[f"{metadata['general.architecture']}.context_length"],
        clean_up_tokenization_spaces=False,
        chat_template=metadata.get("tokenizer.chat_template"),
        **special,
    )


def _engine(pre: str, tokens: list[str], merges: list[str]) -> Tokenizer:
    pairs = [tuple(merge.split(" ", 1)) for merge in merges]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    engine = Tokenizer(BPE(vocab=vocabulary, merges=pairs, fuse_unk=False, ignore_merges=pre in WHOLE_WORDS_FIRST))
    if pre in NORMALIZERS:
        engine.normalizer = NORMALIZERS[pre]()
    engine.pre_tokenizer = PRE_TOKENIZERS[pre]()
    engine.decoder = decoders.ByteLevel()
    engine.post_processor = processors.ByteLevel(trim_offsets=False)
    return engine


def special_tokens(metadata: Metadata) -> dict[str, str]:
    """transformers' name of each special token that the metadata numbers, with its text."""
    names = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    tokens = metadata["tokenizer.ggml.tokens"]
    numbers = {name: metadata.get(f"tokenizer.ggml.{key}_token_id") for name, key in names.items()}
    return {name: tokens[number] for name, number in numbers.items() if number is not None}
