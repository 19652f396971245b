"""Converts a tokenizer without a chat template to OpenVINO, and compares what it does with transformers' on hard texts."""

from __future__ import annotations

from typing import Any

from bakehouse.backends.openvino.seams import PlainTokenizerRequest, PlainTokenizerResult
from bakehouse.child import events, start
from bakehouse.tasks.workers import hard_texts

_QUERY = "What is this?"


def run(request: PlainTokenizerRequest) -> PlainTokenizerResult:
    """Write openvino_tokenizer.{xml,bin} and transformers' own files; padding and truncation stay on the sides that the model has."""
    with start.own_modules():
        events.progress("importing transformers")
        import openvino as ov
        from openvino_tokenizers import convert_tokenizer
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(request.checkpoint, local_files_only=True, trust_remote_code=request.remote_code)
        request.files.mkdir(exist_ok=True)
        tokenizer.save_pretrained(request.files)
        events.progress("converting the tokenizer")
        try:
            made = convert_tokenizer(tokenizer, with_detokenizer=request.decodes, number_of_inputs=request.inputs)
        except Exception as error:  # whatever it is, this tokenizer cannot be converted, and a package without it does not load
            events.refuse(
                f"openvino_tokenizers cannot convert this tokenizer ({type(tokenizer).__name__}).",
                "Use a checkpoint whose tokenizer.json openvino_tokenizers supports.",
                [f"{type(error).__name__}: {error}"],
            )
        names = ("openvino_tokenizer.xml", "openvino_detokenizer.xml")
        for one, name in zip(made if request.decodes else (made,), names, strict=False):
            ov.save_model(one, request.files / name)
        return _compared(tokenizer, request)


def _compared(tokenizer: Any, request: PlainTokenizerRequest) -> PlainTokenizerResult:
    events.progress("comparing the tokenizers")
    import openvino_genai

    other = openvino_genai.Tokenizer(request.files)
    texts = [text for text in hard_texts.TEXTS if text]
    different = [text for text in texts if not _same_tokens(tokenizer, other, text, request.inputs)]
    decoded = [text for text in texts if request.decodes and not _same_text(tokenizer, other, text)]
    return PlainTokenizerResult(texts=len(texts), different=tuple(different), decoded=tuple(decoded))


def _same_tokens(tokenizer: Any, other: Any, text: str, inputs: int) -> bool:
    """Whether both make the same tokens of a text; of one that takes a query, too, with a query before it."""
    if inputs == 1:
        return bool(other.encode(text).input_ids.data[0].tolist() == tokenizer(text)["input_ids"])
    return bool(other.encode([_QUERY], [text]).input_ids.data[0].tolist() == tokenizer(_QUERY, text)["input_ids"])


def _same_text(tokenizer: Any, other: Any, text: str) -> bool:
    """Whether both make the same text of a text's tokens."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return bool(other.decode(ids, skip_special_tokens=True) == tokenizer.decode(ids, skip_special_tokens=True))


if __name__ == "__main__":
    start.run(run, PlainTokenizerRequest)
