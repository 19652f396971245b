"""Holds the tokenizer of ONNX Runtime GenAI, as it reads a model folder, against transformers' on hard texts and chats."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bakehouse.backends.onnxruntime_genai.workers import stub as ort_stub
from bakehouse.child import events
from bakehouse.tasks.text_generation.seams import TokenizerComparison
from bakehouse.tasks.text_generation.workers import chats, hard_texts
from bakehouse.tasks.text_generation.workers.tokenizer_difference import Difference, is_limit

TEMPLATE = "chat_template.jinja"
BLANK = "\N{LOWER ONE EIGHTH BLOCK}"  # what SentencePiece writes for a blank
NOTHING = "\N{REPLACEMENT CHARACTER}"
_FIRST = 20  # added tokens that mend_words tries; compare tries all
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
    compared = TokenizerComparison(texts=len(texts), chats=len(prompts), differences=tuple(found))
    return {
        **compared.model_dump(mode="json"),
        "eos_token_id": tokenizer.eos_token_id,
        "turn_end_id": chats.turn_end(tokenizer),
        "runtime_end_tokens": sorted(int(token) for token in other.eos_token_ids),
    }


def mend_blanks(files: Path) -> bool:
    """Take runs of blanks out of tokenizer.json's added tokens, where they are ordinary tokens, too; whether there were any.

    onnxruntime-genai 0.18 writes an added token as it stands: code that a Gemma indents would come out with U+2581 for blanks. To
    `tokenizers` it makes no difference for texts without that character, which are all that people write; `compare` sees to it.
    """
    path, settings = files / "tokenizer.json", files / "tokenizer_config.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    runs = {token["content"] for token in told["added_tokens"] if _is_run(token["content"]) and not token["special"]}
    if not runs or not _like_sentencepiece(told) or not runs <= told["model"]["vocab"].keys():
        return False
    told["added_tokens"] = [token for token in told["added_tokens"] if token["content"] not in runs]
    path.write_text(json.dumps(told, ensure_ascii=False, indent=2), encoding="utf-8", newline="\n")
    config = json.loads(settings.read_text(encoding="utf-8"))
    if "added_tokens_decoder" in config:
        kept = {number: token for number, token in config["added_tokens_decoder"].items() if token["content"] not in runs}
        settings.write_text(json.dumps(config | {"added_tokens_decoder": kept}, indent=2), encoding="utf-8", newline="\n")
    return True


def _is_run(token: str) -> bool:
    return set(token) == {BLANK}


def mend_words(tokenizer: Any, files: Path) -> bool:
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


def _like_sentencepiece(told: dict[str, Any]) -> bool:
    """Whether the runtime takes tokenizer.json's BPE for one of SentencePiece's (bpe_kernels.cc, LoadSpmModelParams)."""
    decoder = told.get("decoder") or {}
    steps = decoder.get("decoders") or []
    return told["model"].get("type") == "BPE" and any(
        (step.get("type"), (step.get("pattern") or {}).get("String")) == ("Replace", BLANK) or step.get("replacement") == BLANK
        for step in steps
    )


def _runtime(files: Path) -> Any:
    """og.Tokenizer of a model folder."""
    import onnxruntime_genai as og

    with tempfile.TemporaryDirectory() as folder:
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
