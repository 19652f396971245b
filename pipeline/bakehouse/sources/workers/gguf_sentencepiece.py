"""The SentencePiece BPE of a GGUF (`tokenizer.ggml.model` is `llama`), as Llama 2, Mistral, Phi-3 and Gemma have it.

Two neighbours are joined where the result is a token, the one with the highest score first. What no token holds falls back to bytes. A text
begins with a space where the file says so, and so does the text behind every special token, as llama.cpp has it (llama-vocab.cpp).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tokenizers import Tokenizer, decoders, normalizers
from tokenizers.models import BPE

from bakehouse.child import events
from bakehouse.formats.gguf_faults import ANOTHER_SOURCE
from bakehouse.formats.gguf_header import Metadata

NORMAL, USER_DEFINED, BYTE = 1, 4, 6  # token types of the GGUF specification
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"


def engine(metadata: Metadata) -> Tokenizer:
    """The tokenizer without its special tokens; refuses a vocabulary in which the order of the merges is open."""
    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    types: list[int] = metadata["tokenizer.ggml.token_type"]
    scores: list[float] = metadata["tokenizer.ggml.scores"]
    _refuse_open_questions(tokens, types)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    unknown = metadata.get("tokenizer.ggml.unknown_token_id")
    made = Tokenizer(
        BPE(
            vocab=vocabulary,
            merges=list(merges(tokens, types, scores)),
            unk_token=None if unknown is None else tokens[unknown],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    prefix = metadata.get("tokenizer.ggml.add_space_prefix", True)
    spaces = normalizers.Replace(" ", _SPACE)
    made.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), spaces]) if prefix else spaces
    parts = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence([*parts, decoders.Strip(content=" ", left=1)] if prefix else parts)
    return made


def _refuse_open_questions(tokens: Sequence[str], types: Sequence[int]) -> None:
    """Refuse a vocabulary that texts cannot be cut with exactly."""
    if len(set(tokens)) < len(tokens):
        events.refuse("The GGUF's tokenizer has the same token twice.", ANOTHER_SOURCE)
    if sum(kind == BYTE for kind in types) != 256:
        events.refuse("The GGUF's tokenizer has no token for each byte, so that some texts cannot be tokens.", ANOTHER_SOURCE)
    # Such a token is looked for in the text as it is, where a space is a space.
    if hidden := [token for token, kind in zip(tokens, types, strict=True) if kind == USER_DEFINED and _SPACE in token]:
        what = f"The GGUF's tokenizer has user-defined tokens with {_SPACE} in the place of spaces, which no text has."
        events.refuse(what, ANOTHER_SOURCE, hidden[:5])


def merges(tokens: Sequence[str], types: Sequence[int], scores: Sequence[float]) -> Iterator[tuple[str, str]]:
    """The pairs that are joined, first those that are joined first; each token that can be joined, in all ways in which it can be."""
    ordinary = {token: score for token, kind, score in zip(tokens, types, scores, strict=True) if kind == NORMAL}
    pairs: dict[str, list[tuple[str, str]]] = {}
    for token in ordinary:
        cuts = [(token[:at], token[at:]) for at in range(1, len(token))]
        if found := [cut for cut in cuts if cut[0] in ordinary and cut[1] in ordinary]:
            pairs[token] = found
    if len({ordinary[token] for token in pairs}) < len(pairs):
        events.refuse("The GGUF's tokenizer gives several tokens the same score, so the order of its merges is not known.", ANOTHER_SOURCE)
    for token in sorted(pairs, key=ordinary.__getitem__, reverse=True):
        yield from pairs[token]
