"""Writes a checkpoint's tokenizer, and compares what the library `tokenizers` makes of the file with transformers' tokens of hard texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bakehouse.backends.onnxruntime.seams import TokenizerRequest, TokenizerResult
from bakehouse.child import events, start
from bakehouse.formats import config_json, fields
from bakehouse.tasks.embeddings import pooling
from bakehouse.tasks.workers import hard_texts

_QUERY = "What is this?"


def run(request: TokenizerRequest) -> TokenizerResult:
    """Fill `files` with tokenizer.json and what transformers has next to it."""
    with start.own_modules():
        events.progress("importing transformers")
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(request.checkpoint, local_files_only=True, trust_remote_code=request.remote_code)
        tokenizer.model_max_length = _most_tokens(tokenizer, request)
        request.files.mkdir(exist_ok=True)
        tokenizer.save_pretrained(request.files)
        if not (request.files / "tokenizer.json").is_file():
            kind = type(tokenizer).__name__
            events.refuse(f"The tokenizer ({kind}) is not one that a tokenizer.json can hold.", "Name a model with a tokenizer.json.")
        refuse_without_padding(tokenizer)
        _name_for_all(request.files / "tokenizer_config.json")
        _complete(tokenizer, request)
        return _compared(tokenizer, request)


def refuse_without_padding(tokenizer: Any) -> None:
    """End here if texts of different lengths cannot be computed together."""
    if tokenizer.pad_token_id is None:
        what = "The tokenizer has no token for padding, so texts of different lengths cannot be computed together."
        events.refuse(what, "Name another model.")


def _name_for_all(path: Path) -> None:
    """Call a tokenizer without a class of its own as transformers 4 does, too: optimum-onnx 0.1.0, the newest, needs that release."""
    config = json.loads(path.read_text(encoding="utf-8"))
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        path.write_text(json.dumps(config, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8", newline="\n")


def _complete(tokenizer: Any, request: TokenizerRequest) -> None:
    """Have tokenizer.json itself say where texts are cut and how they are padded, for programs that read nothing else."""
    from tokenizers import Tokenizer

    path = str(request.files / "tokenizer.json")
    made = Tokenizer.from_file(path)
    made.enable_truncation(tokenizer.model_max_length)
    left = request.task == "embeddings" and pooling.read(request.checkpoint).mode == "last_token"
    made.enable_padding(direction="left" if left else "right", pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token)
    made.save(path)


def _compared(tokenizer: Any, request: TokenizerRequest) -> TokenizerResult:
    events.progress("comparing the tokenizers")
    from tokenizers import Tokenizer

    other = Tokenizer.from_file(str(request.files / "tokenizer.json"))
    texts = [text for text in hard_texts.TEXTS if text]
    before = () if request.task == "embeddings" else (_QUERY,)
    different = [text for text in texts if other.encode(*before, text).ids != tokenizer(*before, text, truncation=True)["input_ids"]]
    return TokenizerResult(texts=len(texts), different=tuple(different), max_tokens=tokenizer.model_max_length)


def _most_tokens(tokenizer: Any, request: TokenizerRequest) -> int:
    """The longest text: as the checkpoint says it for sentence-transformers, else as its tokenizer and its model take it."""
    named = pooling.read(request.checkpoint).max_tokens if request.task == "embeddings" else None
    positions = fields.integer(config_json.read(request.checkpoint), "max_position_embeddings")
    return named or min(tokenizer.model_max_length, *((positions,) if positions else ()))


if __name__ == "__main__":
    start.run(run, TokenizerRequest)
