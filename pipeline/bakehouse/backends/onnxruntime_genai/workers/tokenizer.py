"""Compares the tokenizer of ONNX Runtime GenAI, as it reads a model folder, with transformers' on hard texts and chats, and fixes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from bakehouse.backends.onnxruntime_genai.seams import Changes, RuntimeTokenizer
from bakehouse.backends.onnxruntime_genai.workers import stub as ort_stub
from bakehouse.child import events, temporary
from bakehouse.formats import fields
from bakehouse.formats.fields import Fields
from bakehouse.tasks.text_generation.workers import chats
from bakehouse.tasks.workers import hard_texts
from bakehouse.tasks.workers.tokenizer_difference import Difference, is_limit

TEMPLATE = "chat_template.jinja"
BLANK = "\N{LOWER ONE EIGHTH BLOCK}"  # what SentencePiece writes for a blank
NOTHING = "\N{REPLACEMENT CHARACTER}"
_FIRST = 20  # added tokens that fix_words tries; compare tries all
# What ByteLevel splits by where its own regular expression is in use (tokenizers, pre_tokenizers/byte_level.rs).
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def fix(tokenizer: Any, files: Path) -> Changes:
    """Have the runtime read the tokenizer of a model folder as the checkpoint's is, `tokenizer`; what was done, by name."""
    changes: Changes = {}
    if fix_digits(files):
        changes["tokenizer.json"] = "digits split by a regular expression"
    if fix_blanks(files):
        changes["added_tokens"] = "runs of blanks are decoded as blanks"
    if fix_words(tokenizer, files):
        changes["tokenizer_module.json"] = "has the runtime cut a text before blanks and line ends only"
    if fix_template(tokenizer, files):
        changes[TEMPLATE] = "takes a message that is a text, too"
    return changes


def fix_digits(files: Path) -> bool:
    """Have tokenizer.json give as regular expressions what the runtime does not do otherwise; whether anything was to be done.

    onnxruntime-genai 0.18.0 joins a blank to the digit after it where `Digits` comes before `ByteLevel` with its own expression
    ("a 1", SmolLM2 and others); of the same two steps as `Split` it does what tokenizers does. `compare` compares both with it.
    """
    path = files / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    steps = (content.get("pre_tokenizer") or {}).get("pretokenizers") or []
    match steps:
        case [{"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}]:
            content["pre_tokenizer"]["pretokenizers"] = [_split(r"\p{N}"), _split(GPT2), {**steps[1], "use_regex": False}]
            path.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8", newline="\n")
            return True
        case _:
            return False


def _split(expression: str) -> dict[str, JsonValue]:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}


def compare(tokenizer: Any, files: Path, remote_code: bool) -> RuntimeTokenizer:
    """How many texts and chats were compared, what differs, and the ids that end an answer by either tokenizer.

    Args:
        tokenizer: the checkpoint's, in transformers.
        files: the model folder that the builder made of it.
    """
    events.progress("comparing the tokenizers")
    from transformers import AutoTokenizer

    other = _runtime(files)
    packaged = AutoTokenizer.from_pretrained(files, local_files_only=True, trust_remote_code=remote_code)
    prompts, of_chats = chats.compare(tokenizer, rendering(other), template(files))
    found: list[Difference] = [*of_chats]
    found += chats.compare(tokenizer, chats.by_transformers(packaged), template(files))[1]
    texts = (*_texts(tokenizer), *prompts)
    found += _differences(tokenizer, other, texts)
    for special in (True, False):
        found += hard_texts.differences(texts, _of_transformers(tokenizer, special), _of_transformers(packaged, special))
    return RuntimeTokenizer(
        texts=len(texts),
        chats=len(prompts),
        differences=tuple(found),
        eos_token_id=tokenizer.eos_token_id,
        turn_end_id=chats.turn_end(tokenizer),
        runtime_end_tokens=tuple(sorted(int(token) for token in other.eos_token_ids)),
    )


def fix_blanks(files: Path) -> bool:
    """Take runs of blanks out of tokenizer.json's added tokens, where they are ordinary tokens, too; whether it had any.

    onnxruntime-genai 0.18 writes an added token as it stands: code that a Gemma indents would come out with U+2581 for blanks. To
    `tokenizers` it makes no difference for texts without that character, which are all that people write; `compare` checks that.
    """
    path, settings = files / "tokenizer.json", files / "tokenizer_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    runs = {token["content"] for token in content["added_tokens"] if _is_run(token["content"]) and not token["special"]}
    if not runs or not _like_sentencepiece(content) or not runs <= content["model"]["vocab"].keys():
        return False
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] not in runs]
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8", newline="\n")
    config = json.loads(settings.read_text(encoding="utf-8"))
    if "added_tokens_decoder" in config:
        kept = {number: token for number, token in config["added_tokens_decoder"].items() if token["content"] not in runs}
        settings.write_text(json.dumps(config | {"added_tokens_decoder": kept}, indent=2), encoding="utf-8", newline="\n")
    return True


def _is_run(token: str) -> bool:
    return set(token) == {BLANK}


def fix_words(tokenizer: Any, files: Path) -> bool:
    """Have the runtime keep blanks together with what follows them, where its own way with a SentencePiece-like tokenizer is wrong.

    onnxruntime-genai 0.18 (onnxruntime-extensions, bpe_kernels.cc, SpmTokenize) cuts a text for such a tokenizer.json with Llama 3's
    regular expression, although the file asks for no cuts: blanks before a digit become other tokens ("\\n    1. one" by Phi-3, Llama 2
    and Mistral). For Gemma's class it cuts before blanks and line ends only, which no token of these vocabularies spans, and within runs
    of over 100 tokens. tokenizer_module.json overrides tokenizer_config.json for this runtime alone. A regular expression in
    tokenizer.json would do the same, and run out of stack at a word of 10,000 characters.

    Returns:
        Whether the file was written: only where it is needed, and where with it nothing differs but for limits.
    """
    module = files / "tokenizer_module.json"
    if module.exists() or not _like_sentencepiece(json.loads((files / "tokenizer.json").read_text(encoding="utf-8"))):
        return False
    texts = _texts(tokenizer, most=_FIRST)
    if _right(tokenizer, files, texts):
        return False
    around = tokenizer("")["input_ids"]  # Gemma's class begins a text with a token even where the file does not ask for it
    adds = {"add_bos_token": tokenizer.bos_token_id in around, "add_eos_token": tokenizer.eos_token_id in around}
    module.write_text(json.dumps({"tokenizer_class": "GemmaTokenizer", **adds}), encoding="utf-8", newline="\n")
    if _right(tokenizer, files, texts):
        return True
    module.unlink()
    return False


def _right(tokenizer: Any, files: Path, texts: Sequence[str]) -> bool:
    return all(is_limit(case) for case in _differences(tokenizer, _runtime(files), texts))


def _like_sentencepiece(content: Fields) -> bool:
    """Whether the runtime takes tokenizer.json's BPE for one of SentencePiece's (bpe_kernels.cc, LoadSpmModelParams)."""
    steps = fields.objects(fields.nested(content, "decoder"), "decoders")
    return fields.text(fields.nested(content, "model"), "type") == "BPE" and any(
        (fields.text(step, "type") == "Replace" and fields.text(fields.nested(step, "pattern"), "String") == BLANK)
        or fields.text(step, "replacement") == BLANK
        for step in steps
    )


def _runtime(files: Path) -> Any:
    """og.Tokenizer of a model folder."""
    import onnxruntime_genai as og

    with temporary.folder() as folder:
        ort_stub.write(files, Path(folder))
        return og.Tokenizer(og.Model(folder))


def _texts(tokenizer: Any, most: int | None = None) -> tuple[str, ...]:
    tokens = [str(token) for token in tokenizer.added_tokens_decoder.values()]
    return (*hard_texts.TEXTS, *hard_texts.special_texts([token for token in tokens if not _is_run(token)][:most]))


def _differences(tokenizer: Any, other: Any, texts: Sequence[str]) -> list[Difference]:
    """Where og.Tokenizer is not transformers', with and without special tokens."""
    special = {number: str(token) for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    found: list[Difference] = []
    for with_special in (True, False):
        other.update_options(add_special_tokens=str(with_special).lower(), skip_special_tokens=str(with_special).lower())
        expected = _of_transformers(tokenizer, with_special)
        found += hard_texts.differences(texts, expected, _of_genai(other), special=special, cuts_runs=True)
    return found


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


def fix_template(checkpoint_tokenizer: Any, files: Path) -> bool:
    """Have a chat template that reads messages as lists of parts take texts, too; whether it was such a one.

    onnxruntime-genai 0.18 gives the template what it was given, as transformers does: a message that is a text, which is what everybody
    writes, would vanish from the prompt. openvino_genai 2026.4 makes parts of it by itself.
    """
    text = template(files)
    if text is None or not chats.reads_parts_only(chats.by_transformers(checkpoint_tokenizer), text):
        return False
    (files / TEMPLATE).write_text(chats.taking_texts(text), encoding="utf-8", newline="\n")
    return True
