"""Builds a model folder for ONNX Runtime GenAI with its own model builder, reads it back, and compares its tokenizer with transformers'."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from bakehouse.backends.onnxruntime_genai.workers import mapped
from bakehouse.backends.onnxruntime_genai.workers import mends as ort_mends
from bakehouse.backends.onnxruntime_genai.workers import plan as ort_plan
from bakehouse.backends.onnxruntime_genai.workers import repair as ort_repair
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.workers import end_tokens, loading, tokenizers_loading

LAYER = re.compile(r"Reading layer (\d+)")
WHERE = re.compile(r" in (?:/|[A-Za-z]:\\)")  # before the folder that the builder writes to, on Linux and on Windows


class _Tokenizers:
    """What the builder takes for transformers' AutoTokenizer: the tokenizer of the checkpoint's tokenizer.json."""

    @staticmethod
    @functools.cache
    def load(folder: Path, remote_code: bool) -> tokenizers_loading.Loaded:
        return tokenizers_loading.read(folder, remote_code)

    @staticmethod
    def from_pretrained(folder: str, *, trust_remote_code: bool = False, **_: Any) -> Any:
        return _Tokenizers.load(Path(folder), bool(trust_remote_code)).tokenizer


class Said(io.TextIOBase):
    """What the builder prints, as the worker's own events."""

    def __init__(self, layers: int) -> None:
        self.layers = layers

    def write(self, text: str) -> int:
        if found := LAYER.match(text):
            events.progress("reading layers", int(found[1]), self.layers)
        elif text.startswith(("Reading", "Saving")):
            events.progress(WHERE.split(text)[0].strip().lower())
        return len(text)


def build(checkpoint: Path, files: Path, options: dict[str, Any], words: list[str]) -> dict[str, Any]:
    """Fill `files` with genai_config.json, model.onnx, model.onnx.data and the tokenizer's files.

    The same as the builder's command line, but for what ort_plan has it do otherwise; what that was, by name.
    """
    from onnxruntime_genai.models import builder

    ort_mends.layers_without_rope()
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    weights, provider = options["quantization"]["weights"], options["execution_provider"]
    with tempfile.TemporaryDirectory() as cache, contextlib.redirect_stdout(Said(config.get("num_hidden_layers", 0))):
        os.environ["HF_MODULES_CACHE"] = cache  # where transformers copies remote code to; else the user's own cache
        planned = ort_plan.plan(config, options)
        told = builder.parse_extra_options(None, str(checkpoint), str(files), weights, provider, cache, [*words, *planned.words])
        keep_two_heads(checkpoint, told, options)
        events.progress("loading the checkpoint")
        try:
            with loading.watched(), ort_repair.applied(told["hf_details"]["hf_config"], planned) as repaired:
                builder.create_model(None, str(checkpoint), str(files), weights, provider, cache, **told)
        except (NotImplementedError, ValueError) as error:
            events.refuse(
                "The model builder does not take this model with these options.",
                "Change the quantization in the recipe, or take another model.",
                str(error).splitlines(),
            )
    return repaired | cut(files, planned)


def cut(files: Path, planned: ort_plan.Plan) -> dict[str, Any]:
    """Have genai_config.json claim no more tokens than the model is right for; the runtime refuses a longer max_length by itself."""
    if planned.cut_from is None:
        return {}
    path = files / "genai_config.json"
    made = json.loads(path.read_text(encoding="utf-8"))
    made["model"]["context_length"] = made["search"]["max_length"] = planned.context
    path.write_text(json.dumps(made, indent=4), encoding="utf-8", newline="\n")
    return {"context_length": planned.context}


def keep_two_heads(checkpoint: Path, told: dict[str, Any], options: dict[str, Any]) -> None:
    """Have embedding and head written as the files have them where config.json ties them and they differ, as transformers loads them.

    The builder would take the head for the embedding too (base.py, make_embedding_lookup).
    """
    if not told["shared_embeddings"] or not loading.has_two_heads(checkpoint):
        return
    if options["quantization"].get("shared_embeddings"):
        events.refuse(
            "config.json makes embedding and head one matrix, and the files hold two of different values: they cannot be shared.",
            "Leave shared_embeddings out of the recipe.",
        )
    told["shared_embeddings"] = False
    events.result(two_heads=True)


def stream(checkpoint: Path) -> None:
    """Have the builder quantize one weight at a time from now on (see ort_stream): the same bytes in half the memory."""
    events.progress("importing the model builder")
    import onnxruntime_genai.models  # noqa: F401  it puts the builder's own modules on sys.path
    from builders import base
    from builders.base import Model

    from bakehouse.backends.onnxruntime_genai.workers import stream as ort_stream

    base.AutoTokenizer = _Tokenizers
    Model.to_nbits = ort_stream.streamed(Model.to_nbits, lambda: mapped.release(checkpoint))


def generation_config(checkpoint: Path) -> dict[str, Any]:
    """generation_config.json, where there is one, with the checkpoint's end tokens, whichever of its files names them."""
    path = checkpoint / "generation_config.json"
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return told if told.get("eos_token_id") is not None else {**told, "eos_token_id": end_tokens.of(checkpoint)}


def mend(files: Path, generation: dict[str, Any]) -> dict[str, Any]:
    """Put into genai_config.json what the builder leaves out of the generation config; what that was, by name.

    End tokens, without which answers run on; and search defaults that it looks for in config.json only (repetition_penalty and
    others, make_genai_config in base.py).
    """
    path = files / "genai_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    has, wanted = end_tokens.as_named(config["model"]["eos_token_id"]), end_tokens.as_named(generation.get("eos_token_id"))
    mended: dict[str, Any] = {}
    if short := [token for token in wanted if token not in has]:
        config["model"]["eos_token_id"] = mended["eos_token_id"] = [*has, *short]
    for name in ort_plan.SEARCH:
        value = generation.get(name)
        if value is not None and config["search"][name] != value:
            config["search"][name] = mended[name] = value
    if mended:
        path.write_text(json.dumps(config, indent=4), encoding="utf-8", newline="\n")
    return mended


def main() -> None:
    """`CHECKPOINT FILES OPTIONS WORDS`: the step's options and the builder's extra options, both as JSON."""
    told = start.parser(__doc__, "checkpoint", "files", documents=("options", "words")).parse_args()
    # The builder writes `git rev-parse HEAD` of the repository around its own folder into the model (base.py, get_genai_commit):
    # in a virtual environment inside a repository every commit would change the bytes. Without git it writes its release's own.
    os.environ["GIT_DIR"] = os.devnull
    stream(told.checkpoint)
    repaired = build(told.checkpoint, told.files, told.options, told.words)
    from bakehouse.backends.onnxruntime_genai.workers import graph as ort_graph
    from bakehouse.backends.onnxruntime_genai.workers import tokenizer as ort_tokenizer

    mended = repaired | mend(told.files, generation_config(told.checkpoint))
    if ort_tokenizer.mend(told.files):
        mended["tokenizer.json"] = "digits split by a regular expression"
    loaded = _Tokenizers.load(told.checkpoint, told.options["remote_code"])
    tokenizer = loaded.tokenizer
    if ort_tokenizer.mend_blanks(told.files):
        mended["added_tokens"] = "runs of blanks are decoded as blanks"
    if ort_tokenizer.mend_words(tokenizer, told.files):
        mended["tokenizer_module.json"] = "has the runtime cut a text before blanks and line ends only"
    if ort_tokenizer.mend_template(tokenizer, told.files):
        mended[ort_tokenizer.TEMPLATE] = "takes a message that is a text, too"
    events.result(
        tokenizer_corrected=loaded.corrected,
        mended=mended,
        graph=ort_graph.read(told.files / "model.onnx"),
        tokenizer=ort_tokenizer.compare(tokenizer, told.files, told.options["remote_code"]),
    )


if __name__ == "__main__":
    main()
