"""Loads a checkpoint's tokenizer in transformers, and ensures that it is the one of tokenizer.json.

transformers 5.5 builds the tokenizer of many classes anew from the file's vocabulary and merges, and takes normalizer, pre-tokenizer and
decoder from the class (TokenizersBackend.convert_to_native_format, tokenization_utils_tokenizers.py): a byte-level file under
LlamaTokenizerFast loses every space, a SentencePiece-like one under LlamaTokenizer loses the first, OLMo's loses its own splits. Some
classes add tokens that no file names. The file is what the model was trained with and what the runtimes read, so it decides.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakehouse.child import events
from bakehouse.tasks.text_generation import tokenizer_findings
from bakehouse.tasks.text_generation.workers import chats, end_tokens
from bakehouse.tasks.workers import hard_texts
from bakehouse.tasks.workers.tokenizer_difference import DifferentIds, DifferentText

FILE = "tokenizer.json"


@dataclass(frozen=True)
class Loaded:
    """A transformers tokenizer; `corrected` is what was taken in place of transformers' own object, if that is another one."""

    tokenizer: Any
    corrected: str | None = None


def load(folder: Path, remote_code: bool = False) -> Any:
    """The tokenizer that `read` gives."""
    return read(folder, remote_code).tokenizer


def read(folder: Path, remote_code: bool = False) -> Loaded:
    """The tokenizer of a checkpoint or of a folder that a worker wrote, its ids those of tokenizer.json where the folder has one.

    The chat template's end of an answer becomes the end token where no file names one. Refuses what transformers cannot read, and
    what cannot be made the file's.
    """
    loaded = Loaded(_loaded(folder, remote_code))
    if (folder / FILE).is_file() and type(loaded.tokenizer).__module__.startswith("transformers."):
        loaded = _as_in_file(loaded.tokenizer, folder)
    tokenizer = loaded.tokenizer
    if tokenizer.eos_token is None and not end_tokens.of(folder) and (turn := chats.turn_end(tokenizer)) is not None:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(turn)
    return loaded


def end_tokens_of(checkpoint: Path, remote_code: bool) -> list[int]:
    """The ids that end an answer, in order; refuses a checkpoint that names none anywhere, not in its chat template either."""
    if ends := end_tokens.of(checkpoint):
        return ends
    end = load(checkpoint, remote_code).eos_token_id
    if end is None:
        events.refuse(end_tokens.NOWHERE, end_tokens.REMEDY)
    return [int(end)]


def _loaded(folder: Path, remote_code: bool) -> Any:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    failed = ""
    for kind in (AutoTokenizer, PreTrainedTokenizerFast) if (folder / FILE).is_file() else (AutoTokenizer,):
        try:
            return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=remote_code)
        except Exception as error:  # of any type: a class that it does not know, a field that it does not expect
            failed = f"{type(error).__name__}: {error}".splitlines()[0]
    return events.refuse(
        "transformers cannot read the checkpoint's tokenizer.",
        "Take a checkpoint whose tokenizer.json and tokenizer_config.json transformers reads.",
        [failed],
    )


def _as_in_file(made: Any, folder: Path) -> Loaded:
    """transformers' object if it does what the file says, else one around the file's own tokenizer, with the same settings."""
    from transformers import PreTrainedTokenizerFast

    generic = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    engine = _engine(folder, generic)
    tokens = {str(token) for one in (made, generic) for token in one.added_tokens_decoder.values()}
    texts = (*hard_texts.TEXTS, *hard_texts.special_texts(sorted(tokens)))
    if _reproduces(texts, engine, copy.deepcopy(made)):  # to use it takes away the padding that the file asks for, and is saved with
        return Loaded(made)
    generic._tokenizer = engine  # what transformers itself sets (TokenizersBackend.__init__)
    if left := differences(texts, engine, generic):
        events.refuse(
            "transformers cannot be made to read tokenizer.json as it is.",
            "Take a checkpoint whose tokenizer.json and tokenizer_config.json agree.",
            [tokenizer_findings.in_words(case) for case in left[:3]],
        )
    return Loaded(generic, f"tokenizer.json itself, which transformers' {type(made).__name__} does not reproduce")


def _reproduces(texts: tuple[str, ...], engine: Any, made: Any) -> bool:
    try:
        return not differences(texts, engine, made)
    except Exception:  # of tokenizers, which has no type of its own: a class whose unknown token is not in the vocabulary
        return False


def _engine(folder: Path, generic: Any) -> Any:
    """The file's tokenizer, with the tokens that the checkpoint's other files name, special where they say so.

    tokenizer_config.json's add_bos_token and add_eos_token count for nothing next to a tokenizer.json (transformers 5.5,
    PreTrainedTokenizerBase._from_pretrained); split_special_tokens counts.
    """
    from tokenizers import Tokenizer

    engine = Tokenizer.from_file(str(folder / FILE))
    engine.no_truncation()
    engine.no_padding()
    known = {str(token.content): token for token in engine.get_added_tokens_decoder().values()}
    for _, token in sorted(generic.added_tokens_decoder.items()):
        if token.content not in known or known[token.content].special != token.special:
            (engine.add_special_tokens if token.special else engine.add_tokens)([token])
    engine.encode_special_tokens = generic.split_special_tokens
    return engine


def differences(texts: Iterable[str], engine: Any, tokenizer: Any) -> list[DifferentIds | DifferentText]:
    """Where a transformers tokenizer is not the `tokenizers.Tokenizer` that it should be: ids with and without special tokens, and texts.

    Without transformers' cleaning of blanks, which is a setting that runtimes have, too.
    """
    found: list[DifferentIds | DifferentText] = []
    texts = list(texts)
    for special in (True, False):
        expected = [one.ids for one in engine.encode_batch(texts, add_special_tokens=special)]
        got = tokenizer(texts, add_special_tokens=special)["input_ids"]
        backs = engine.decode_batch(expected, skip_special_tokens=special)
        for text, ids, other, back in zip(texts, expected, got, backs, strict=True):
            if ids != list(other):
                found.append(DifferentIds(text, ids, list(other)))
            other_back = tokenizer.decode(ids, skip_special_tokens=special, clean_up_tokenization_spaces=False)
            if back != other_back:
                found.append(DifferentText(text, back, other_back))
    return found
