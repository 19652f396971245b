"""Converts a checkpoint's tokenizer to OpenVINO, saves it for transformers next to it, and compares the two on hard texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from bakehouse.backends.openvino.seams import TokenizerRequest, TokenizerResult
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.seams import TokenizerComparison
from bakehouse.tasks.text_generation.workers import chats, tokenizers_loading
from bakehouse.tasks.workers import hard_texts, tokenizer_difference


def convert(tokenizer: Any, files: Path) -> None:
    """Write openvino_{tokenizer,detokenizer}.{xml,bin}, with the options of optimum-intel's exporter.

    optimum-intel only logs a failure and calls the export good; here it is one. It also adds a simplified chat template to
    some known ones for older runtimes; openvino_genai 2026.4 renders those as transformers does, so only the original is kept.
    """
    import openvino as ov
    from openvino_tokenizers import convert_tokenizer

    tokenizer.padding_side = "left"
    tokenizer.truncation_side = "left"
    named, tokenizer.chat_template = tokenizer.chat_template, chats.default_template(tokenizer)  # the IR has room for one
    try:
        made = convert_tokenizer(tokenizer, with_detokenizer=True)
    except Exception as error:  # whatever it is, this tokenizer cannot be converted, and a package without it does not load
        events.refuse(
            f"openvino_tokenizers cannot convert this tokenizer ({type(tokenizer).__name__}).",
            "Use a checkpoint whose tokenizer.json openvino_tokenizers supports.",
            [f"{type(error).__name__}: {error}"],
        )
    for model, name in zip(made, ("openvino_tokenizer", "openvino_detokenizer"), strict=True):
        ov.save_model(model, files / f"{name}.xml")
    tokenizer.chat_template = named


Cut = dict[str, JsonValue]  # a pre-tokenizer, as tokenizer.json has it
# What `Digits` one by one and then `ByteLevel` cut (tokenizers, pre_tokenizers/digits.rs and byte_level.rs), as one expression.
_DIGITS_AND_WORDS = r"\p{N}|'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?=\p{N})|\s+(?!\S)|\s+"
_LAST_BLANKS = r"\s+(?!\S)"
_CORRECTED = "texts are cut by equal expressions: by its own they came out otherwise"


@contextmanager
def not_looking_beyond(tokenizer: Any) -> Iterator[bool]:
    """While this lasts, a tokenizer that cuts in several steps does so by equal expressions; whether it is one that can.

    openvino_tokenizers 2026.4 looks past the end of the piece that an earlier step has cut, as `tokenizers` does not: of the blanks
    before a digit ("a   1") the last becomes another token. SmolLM2, StarCoder and DeepSeek V3 cut digits off first.
    """
    from tokenizers import Tokenizer

    engine = tokenizer.backend_tokenizer
    before, document = engine.pre_tokenizer, json.loads(engine.to_str())
    steps = equal_steps((document["pre_tokenizer"] or {}).get("pretokenizers") or [])
    if steps is None:
        yield False
        return
    engine.pre_tokenizer = Tokenizer.from_str(
        json.dumps(document | {"pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}})
    ).pre_tokenizer
    try:
        yield True
    finally:
        engine.pre_tokenizer = before


def equal_steps(steps: list[Cut]) -> list[Cut] | None:
    """The same cuts by expressions that need not know where a piece ends; None for steps of other kinds."""
    match steps:
        case [{"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True} as last]:
            return [_split(_DIGITS_AND_WORDS), last | {"use_regex": False}]
        case [*cuts, {"type": "ByteLevel", "use_regex": False} as last] if len(cuts) > 1 and all(map(_expression, cuts)):
            *first, words = map(_expression, cuts)
            if _LAST_BLANKS not in words:
                return None
            beyond = rf"\s+(?={'|'.join(first)})|{_LAST_BLANKS}"
            return [*cuts[:-1], _split(words.replace(_LAST_BLANKS, beyond)), last]
        case _:
            return None


def _expression(step: Cut) -> str:
    """The expression whose matches a step cuts off; "" if it does something else."""
    match step:
        case {"type": "Split", "pattern": {"Regex": str(expression)}, "behavior": "Isolated", "invert": False}:
            return expression
        case _:
            return ""


def _split(expression: str) -> Cut:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}


def compare(tokenizer: Any, files: Path) -> TokenizerComparison:
    """How openvino_genai's tokenizer, loaded from `files`, differs from transformers' on hard texts and chats."""
    import openvino_genai

    other = openvino_genai.Tokenizer(files)
    templated, prompts = chats.compare(tokenizer, rendering(other), other.chat_template)
    texts = (*hard_texts.TEXTS, *hard_texts.special_texts(str(token) for token in tokenizer.added_tokens_decoder.values()), *templated)
    found: list[tokenizer_difference.Difference] = [*prompts]
    for special in (True, False):
        found += hard_texts.differences(texts, _of_transformers(tokenizer, special), _of_genai(other, special))
    return TokenizerComparison(texts=len(texts), chats=len(templated), differences=tuple(found))


def wrong(comparison: TokenizerComparison) -> bool:
    """Whether the tokenizers differ in more than the known limits of this runtime."""
    return not all(map(tokenizer_difference.is_limit, comparison.differences))


def _of_transformers(tokenizer: Any, special: bool) -> hard_texts.Tokenizer:
    return (
        lambda text: list(tokenizer(text, add_special_tokens=special)["input_ids"]),
        lambda ids: str(tokenizer.decode(ids, skip_special_tokens=special)),
    )


def _of_genai(tokenizer: Any, special: bool) -> hard_texts.Tokenizer:
    return (
        lambda text: list(tokenizer.encode(text, add_special_tokens=special).input_ids.data[0].tolist()),
        lambda ids: str(tokenizer.decode(ids, skip_special_tokens=special)),
    )


def rendering(tokenizer: Any) -> chats.Render:
    """openvino_genai's engine."""
    return lambda chat, template: str(tokenizer.apply_chat_template(list(chat), add_generation_prompt=True, chat_template=template))


def run(request: TokenizerRequest) -> TokenizerResult:
    """Convert, compare, and where the two differ convert once more with expressions that OpenVINO reads rightly."""
    with start.own_modules():
        events.progress("importing transformers")
        loaded = tokenizers_loading.read(request.checkpoint, request.remote_code)
        tokenizer = loaded.tokenizer
        tokenizer.save_pretrained(request.files)
        end, turn_end, vocabulary = tokenizer.eos_token_id, chats.turn_end(tokenizer), len(tokenizer)
        events.progress("converting the tokenizer")
        convert(tokenizer, request.files)
        events.progress("comparing the tokenizers")
        comparison, corrected = compare(tokenizer, request.files), None
        if wrong(comparison):
            with not_looking_beyond(tokenizer) as rewritten:
                if rewritten:
                    convert(tokenizer, request.files)
            if rewritten:
                comparison, corrected = compare(tokenizer, request.files), _CORRECTED
    return TokenizerResult(
        eos_token_id=end,
        turn_end_id=turn_end,
        tokenizer_corrected=loaded.corrected,
        conversion_corrected=corrected,
        vocabulary=vocabulary,
        comparison=comparison,
    )


if __name__ == "__main__":
    start.run(run, TokenizerRequest)
