"""Holds the tokenizer of ONNX Runtime GenAI, as it reads a model folder, against transformers' on hard texts and chats."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.workers import events, hard_texts, ort_stub
from pipeline.workers.openvino_tokenizer import CHATS, turn_end

NOTHING = "\N{REPLACEMENT CHARACTER}"


def compare(checkpoint: Path, files: Path, remote_code: bool) -> dict[str, Any]:
    """How many texts and chats were compared, what differs, and the ids that end an answer by either tokenizer."""
    events.progress("comparing the tokenizers")
    import onnxruntime_genai as og
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True, trust_remote_code=remote_code)
    with tempfile.TemporaryDirectory() as folder:
        ort_stub.write(files, Path(folder))
        other = og.Tokenizer(og.Model(folder))
    chats, found = _chats(tokenizer, other)
    texts = (*hard_texts.TEXTS, *hard_texts.special_texts(str(token) for token in tokenizer.added_tokens_decoder.values()), *chats)
    for special in (True, False):
        other.update_options(add_special_tokens=str(special).lower(), skip_special_tokens=str(special).lower())
        found += hard_texts.differences(texts, _of_transformers(tokenizer, special), _of_genai(other))
    return {
        "texts": len(texts),
        "chats": len(chats),
        "differences": found,
        "eos_token_id": tokenizer.eos_token_id,
        "turn_end_id": turn_end(tokenizer),
        "runtime_end_tokens": sorted(int(token) for token in other.eos_token_ids),
    }


def _of_transformers(tokenizer: Any, special: bool) -> hard_texts.Tokenizer:
    return (
        lambda text: list(tokenizer(text, add_special_tokens=special)["input_ids"]),
        lambda ids: str(tokenizer.decode(ids, skip_special_tokens=special)),
    )


def _of_genai(tokenizer: Any) -> hard_texts.Tokenizer:
    return lambda text: [int(token) for token in tokenizer.encode(text)], lambda ids: decoded(tokenizer, ids)


def decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of `ids`; onnxruntime-genai 0.18.0 gives U+FFFD where all of them are special tokens that it skips, in place of nothing."""
    text = str(tokenizer.decode(list(ids)))
    return "" if text == NOTHING else text


def _chats(tokenizer: Any, other: Any) -> tuple[list[str], list[dict[str, Any]]]:
    """The prompts of the chats that the template takes, and those that the runtime renders otherwise."""
    from jinja2 import TemplateError

    prompts, found = [], []
    for chat in CHATS if tokenizer.chat_template else ():
        try:
            expected = str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
        except TemplateError:
            continue  # some templates know no system role
        prompts.append(expected)
        got = other.apply_chat_template(json.dumps(chat), add_generation_prompt=True)
        if got != expected:
            found.append({"chat": chat, "expected_prompt": expected, "prompt": got})
    return prompts, found
