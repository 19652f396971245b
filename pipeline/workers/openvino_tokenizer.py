"""Converts a checkpoint's tokenizer to OpenVINO, saves it for transformers beside it, and compares the two on hard texts."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from pipeline.workers import events, hard_texts, hermetic, leash

CHATS: tuple[list[dict[str, str]], ...] = (
    [{"role": "user", "content": "What is the capital of France?"}],
    [{"role": "user", "content": "  Hi 😀\n"}, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "a<|end|>b"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "¿Qué?"}],
)
MARK = "bakehouse-end-of-answer"


def convert(tokenizer: Any, files: Path) -> None:
    """Write openvino_{tokenizer,detokenizer}.{xml,bin}, with the options of optimum-intel's exporter.

    optimum-intel only logs a failure and calls the export good; here it is one. It also puts a simplified chat template beside
    some known ones for older runtimes; openvino_genai 2026.4 renders those as transformers does, so the original stays alone.
    """
    import openvino as ov
    from openvino_tokenizers import convert_tokenizer

    tokenizer.padding_side = "left"
    tokenizer.truncation_side = "left"
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


def compare(tokenizer: Any, files: Path) -> dict[str, Any]:
    """How openvino_genai's tokenizer, loaded from `files`, differs from transformers' on hard texts and chats."""
    import openvino_genai

    other = openvino_genai.Tokenizer(files)
    templated = []
    found: list[dict[str, Any]] = []
    for chat in CHATS if tokenizer.chat_template else ():
        expected, got = render(tokenizer, other, chat)
        if expected is not None:
            templated.append(expected)
            if expected != got:
                found.append({"chat": chat, "expected_prompt": expected, "prompt": got})
    texts = (*hard_texts.TEXTS, *hard_texts.special_texts(str(token) for token in tokenizer.added_tokens_decoder.values()), *templated)
    for special in (True, False):
        found += hard_texts.differences(texts, _of_transformers(tokenizer, special), _of_genai(other, special))
    return {"texts": len(texts), "chats": len(templated), "differences": found}


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


def render(tokenizer: Any, other: Any, chat: list[dict[str, str]]) -> tuple[str | None, str]:
    """The prompt of `chat` by transformers and by openvino_genai; None if the template refuses it (some know no system role)."""
    from jinja2 import TemplateError

    try:
        expected = str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
    except TemplateError:
        return None, ""
    return expected, str(other.apply_chat_template(chat, add_generation_prompt=True))


def turn_end(tokenizer: Any) -> int | None:
    """The token with which the chat template ends an assistant's answer; None if it has no template or ends it without one."""
    if not tokenizer.chat_template:
        return None
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": MARK}]
    rest = str(tokenizer.apply_chat_template(chat, tokenize=False)).partition(MARK)[2]
    ids = tokenizer(rest, add_special_tokens=False)["input_ids"]
    return next((token for token in ids if token in tokenizer.added_tokens_decoder), None)


def main() -> None:
    """`CHECKPOINT FILES OPTIONS`, OPTIONS being the step's options as JSON."""
    leash.hold()
    hermetic.seal()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("files", type=Path)
    parser.add_argument("options", type=json.loads)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as modules:
        os.environ["HF_MODULES_CACHE"] = modules  # where transformers copies remote code to; else the user's own cache
        events.progress("importing transformers")
        from transformers import AutoTokenizer

        remote_code = told.options["remote_code"]
        tokenizer = AutoTokenizer.from_pretrained(told.checkpoint, local_files_only=True, trust_remote_code=remote_code)
        tokenizer.save_pretrained(told.files)
        events.result(eos_token_id=tokenizer.eos_token_id, turn_end_id=turn_end(tokenizer), vocabulary=len(tokenizer))
        events.progress("converting the tokenizer")
        convert(tokenizer, told.files)
        events.progress("comparing the tokenizers")
        events.result(comparison=compare(tokenizer, told.files))


if __name__ == "__main__":
    main()
