"""Holds the tokenizer of ONNX Runtime GenAI, as it reads a model folder, against transformers' on hard texts and chats."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.workers import chats, events, hard_texts, ort_stub

TEMPLATE = "chat_template.jinja"
NOTHING = "\N{REPLACEMENT CHARACTER}"
# What ByteLevel splits by where its own regular expression is in use (tokenizers, pre_tokenizers/byte_level.rs).
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def mend(files: Path) -> bool:
    """Have tokenizer.json say in regular expressions what the runtime does not do otherwise; whether there was anything.

    onnxruntime-genai 0.18.0 joins a blank to the digit after it where `Digits` comes before `ByteLevel` with its own expression
    ("a 1", SmolLM2 and others); of the same two steps as `Split` it does what tokenizers does. `compare` holds both against it.
    """
    path = files / "tokenizer.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    steps = (told.get("pre_tokenizer") or {}).get("pretokenizers") or []
    match steps:
        case [{"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}]:
            told["pre_tokenizer"]["pretokenizers"] = [_split(r"\p{N}"), _split(GPT2), {**steps[1], "use_regex": False}]
            path.write_text(json.dumps(told, ensure_ascii=False, indent=2), encoding="utf-8", newline="\n")
            return True
        case _:
            return False


def _split(expression: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}


def compare(tokenizer: Any, files: Path, remote_code: bool) -> dict[str, Any]:
    """How many texts and chats were compared, what differs, and the ids that end an answer by either tokenizer.

    Args:
        tokenizer: the checkpoint's, in transformers.
        files: the model folder that the builder made of it.
    """
    events.progress("comparing the tokenizers")
    import onnxruntime_genai as og
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        ort_stub.write(files, Path(folder))
        other = og.Tokenizer(og.Model(folder))
    packaged = AutoTokenizer.from_pretrained(files, local_files_only=True, trust_remote_code=remote_code)
    prompts, found = chats.compare(tokenizer, rendering(other), template(files))
    found += chats.compare(tokenizer, chats.by_transformers(packaged), template(files))[1]
    texts = (*hard_texts.TEXTS, *hard_texts.special_texts(str(token) for token in tokenizer.added_tokens_decoder.values()), *prompts)
    for special in (True, False):
        other.update_options(add_special_tokens=str(special).lower(), skip_special_tokens=str(special).lower())
        expected = _of_transformers(tokenizer, special)
        for got in (_of_genai(other), _of_transformers(packaged, special)):
            found += hard_texts.differences(texts, expected, got)
    return {
        "texts": len(texts),
        "chats": len(prompts),
        "differences": found,
        "eos_token_id": tokenizer.eos_token_id,
        "turn_end_id": chats.turn_end(tokenizer),
        "runtime_end_tokens": sorted(int(token) for token in other.eos_token_ids),
    }


def _of_transformers(tokenizer: Any, special: bool) -> hard_texts.Tokenizer:
    return (
        lambda text: list(tokenizer(text, add_special_tokens=special)["input_ids"]),
        # the runtime never takes a blank before punctuation away, as transformers does where clean_up_tokenization_spaces says so
        lambda ids: str(tokenizer.decode(ids, skip_special_tokens=special, clean_up_tokenization_spaces=False)),
    )


def _of_genai(tokenizer: Any) -> hard_texts.Tokenizer:
    return lambda text: [int(token) for token in tokenizer.encode(text)], lambda ids: decoded(tokenizer, ids)


def decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of `ids`.

    onnxruntime-genai 0.18.0 gives U+FFFD in place of nothing where all of them are special tokens that it skips, and ends a text with it
    at the first byte that is no UTF-8. Its stream, which is what people print from, leaves such bytes out and goes on.
    """
    text = str(tokenizer.decode(list(ids)))
    if NOTHING not in text:
        return text
    stream = tokenizer.create_stream()
    return "".join(str(stream.decode(token)) for token in ids)


def template(files: Path) -> str | None:
    """The chat template that the runtime takes from a model folder; None if it has none."""
    path = files / TEMPLATE
    return path.read_text(encoding="utf-8") if path.exists() else None


def rendering(tokenizer: Any) -> chats.Render:
    """onnxruntime-genai's engine."""
    return lambda chat, text: str(tokenizer.apply_chat_template(json.dumps(chat), template_str=text, add_generation_prompt=True))


def mend_template(checkpoint_tokenizer: Any, files: Path) -> bool:
    """Have a chat template that reads messages as lists of parts take texts, too; whether there was anything.

    onnxruntime-genai 0.18 gives the template what it was given, as transformers does: a message that is a text, which is what everybody
    writes, would vanish from the prompt. openvino_genai 2026.4 makes parts of it by itself.
    """
    text = template(files)
    if text is None or not chats.reads_parts_only(chats.by_transformers(checkpoint_tokenizer), text):
        return False
    (files / TEMPLATE).write_text(chats.taking_texts(text), encoding="utf-8", newline="\n")
    return True
