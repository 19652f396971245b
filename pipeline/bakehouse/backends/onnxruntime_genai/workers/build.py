"""Builds a model folder for ONNX Runtime GenAI with its own model builder, reads it back, and compares its tokenizer with transformers'."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from bakehouse.backends.onnxruntime_genai import genai_config, source, words
from bakehouse.backends.onnxruntime_genai.quantization import OrtInt8
from bakehouse.backends.onnxruntime_genai.seams import BuildRequest, BuildResult, BuildSpec, Changes
from bakehouse.backends.onnxruntime_genai.workers import fixes
from bakehouse.backends.onnxruntime_genai.workers import plan as ort_plan
from bakehouse.backends.onnxruntime_genai.workers import repair as ort_repair
from bakehouse.child import events, mapped, start
from bakehouse.tasks.text_generation import weight_names
from bakehouse.tasks.text_generation.workers import end_tokens, loading, tokenizers_loading

LAYER = re.compile(r"Reading layer (\d+)")
WHERE = re.compile(r" in (?:/|[A-Za-z]:\\)")  # before the folder that the builder writes to, on Linux and on Windows
GenaiFile = dict[str, dict[str, JsonValue]]  # genai_config.json: the fields of `model` and of `search`


@dataclass(frozen=True)
class Built:
    """What the builder was made to do otherwise than by itself, by name, and whether the checkpoint's files hold two heads."""

    changes: Changes
    two_heads: bool


class _Tokenizers:
    """What the builder takes for transformers' AutoTokenizer: the tokenizer of the checkpoint's tokenizer.json."""

    @staticmethod
    @functools.cache
    def load(folder: Path, remote_code: bool) -> tokenizers_loading.Loaded:
        return tokenizers_loading.read(folder, remote_code)

    @staticmethod
    def from_pretrained(folder: str, *, trust_remote_code: bool = False, **_: Any) -> Any:
        return _Tokenizers.load(Path(folder), bool(trust_remote_code)).tokenizer


class Output(io.TextIOBase):
    """What the builder prints, as the worker's own events."""

    def __init__(self, layers: int) -> None:
        self.layers = layers

    def write(self, text: str) -> int:
        if found := LAYER.match(text):
            events.progress("reading layers", int(found[1]), self.layers)
        elif text.startswith(("Reading", "Saving")):
            events.progress(WHERE.split(text)[0].strip().lower())
        return len(text)


def build(checkpoint: Path, files: Path, spec: BuildSpec, more_options: Sequence[str] = ()) -> Built:
    """Fill `files` with genai_config.json, model.onnx, model.onnx.data and the tokenizer's files.

    The same as the builder's command line, but for what `plan` has it do otherwise. `more_options`: KEY=VALUE words for the builder.
    """
    from onnxruntime_genai.models import builder

    fixes.layers_without_rope()
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    weights, provider = spec.quantization.weights, spec.execution_provider
    with tempfile.TemporaryDirectory() as cache, contextlib.redirect_stdout(Output(config.get("num_hidden_layers", 0))):
        os.environ["HF_MODULES_CACHE"] = cache  # where transformers copies remote code to; else the user's own cache
        planned = ort_plan.plan(config, spec)
        extra = [*words.extra_options(spec), *more_options, *planned.words]
        as_json = {"target_options": named} if (named := words.target_options(spec, weight_names.ties(config))) else {}
        options = builder.parse_extra_options(None, str(checkpoint), str(files), weights, provider, cache, extra, **as_json)
        two_heads = bool(options["shared_embeddings"]) and has_two_heads(checkpoint, spec)
        if two_heads:
            options["shared_embeddings"] = False
        events.progress("loading the checkpoint")
        with refusals_in_words(), loading.watched(), ort_repair.applied(options["hf_details"]["hf_config"], planned) as repaired:
            builder.create_model(None, str(checkpoint), str(files), weights, provider, cache, **options)
    return Built(repaired | cut(files, planned), two_heads)


@contextlib.contextmanager
def refusals_in_words() -> Iterator[None]:
    """End the child with a sentence where the builder refuses a model or an option."""
    try:
        yield
    except (NotImplementedError, ValueError) as error:
        events.refuse(
            "The model builder does not take this model with these options.",
            "Change the quantization in the recipe, or take another model.",
            str(error).splitlines(),
        )


def cut(files: Path, planned: ort_plan.Plan) -> Changes:
    """Have genai_config.json claim no more tokens than the model is right for; the runtime refuses a longer max_length by itself."""
    if planned.cut_from is None:
        return {}
    made = read_config(files)
    made["model"]["context_length"] = made["search"]["max_length"] = planned.context
    write_config(files, made)
    return {"context_length": planned.context}


def has_two_heads(checkpoint: Path, spec: BuildSpec) -> bool:
    """Whether embedding and head have to be written as the files have them: config.json ties them and they differ.

    transformers loads them so, and the builder would take the head for the embedding too (base.py, make_embedding_lookup).
    """
    if not loading.has_two_heads(checkpoint):
        return False
    if not isinstance(spec.quantization, OrtInt8) and spec.quantization.shared_embeddings:
        events.refuse(
            "config.json makes embedding and head one matrix, and the files hold two of different values: they cannot be shared.",
            "Leave shared_embeddings out of the recipe.",
        )
    return True


def stream(checkpoint: Path, folder: Path) -> None:
    """Have the builder quantize one weight at a time from now on (see `stream`): the same bytes in half the memory.

    `folder`: for what memory does not hold; it has to stay until the model is written.
    """
    events.progress("importing the model builder")
    import onnxruntime_genai.models  # noqa: F401  it puts the builder's own modules on sys.path
    from builders import base
    from builders.base import Model

    from bakehouse.backends.onnxruntime_genai.workers import stream as ort_stream

    base.AutoTokenizer = _Tokenizers
    Model.to_nbits = ort_stream.streamed(Model.to_nbits, folder, lambda: mapped.release(checkpoint))
    base.ir.save = released(base.ir.save, checkpoint, folder)


def released(save: Callable[..., None], *folders: Path) -> Callable[..., None]:
    """onnx_ir's `save`, which tells of each tensor before it writes it: what was written of mapped files in `folders` is released."""
    release_if_many = mapped.releasing(*folders)

    def save_released(*given: Any, callback: Callable[[Any, Any], None] | None = None, **named: Any) -> None:
        def told(tensor: Any, info: Any) -> None:
            release_if_many()
            if callback is not None:
                callback(tensor, info)

        save(*given, callback=told, **named)

    return save_released


def fix_config(files: Path, generation: source.Generation) -> Changes:
    """Put into genai_config.json what the builder leaves out of the generation config; what that was, by name.

    End tokens, without which answers run on; and search defaults that it looks for in config.json only (repetition_penalty and
    others, make_genai_config in base.py).
    """
    config = read_config(files)
    has = end_tokens.as_named(config["model"]["eos_token_id"])
    changes: Changes = {}
    if short := [token for token in generation.end_tokens if token not in has]:
        config["model"]["eos_token_id"] = changes["eos_token_id"] = [*has, *short]
    for name, value in generation.search.items():
        if config["search"][name] != value:
            config["search"][name] = changes[name] = value
    if changes:
        write_config(files, config)
    return changes


def read_config(files: Path) -> GenaiFile:
    """genai_config.json, with whatever the builder wrote into it."""
    config: GenaiFile = json.loads((files / genai_config.NAME).read_text(encoding="utf-8"))
    return config


def write_config(files: Path, config: GenaiFile) -> None:
    """Write genai_config.json as the builder does."""
    (files / genai_config.NAME).write_text(json.dumps(config, indent=4), encoding="utf-8", newline="\n")


def run(request: BuildRequest) -> BuildResult:
    """Make the model folder, put right what the builder and the runtime do otherwise than the source, and read it back."""
    checkpoint, files, spec = request.checkpoint, request.files, request.spec
    # The builder writes `git rev-parse HEAD` of the repository around its own folder into the model (base.py, get_genai_commit):
    # in a virtual environment inside a repository every commit would change the bytes. Without git it writes its release's own.
    os.environ["GIT_DIR"] = os.devnull
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows removes no file that is still mapped
        stream(checkpoint, Path(folder))
        built = build(checkpoint, files, spec)
    from bakehouse.backends.onnxruntime_genai.workers import graph as ort_graph
    from bakehouse.backends.onnxruntime_genai.workers import tokenizer as ort_tokenizer

    changes = built.changes | fix_config(files, source.generation(checkpoint))
    loaded = _Tokenizers.load(checkpoint, spec.remote_code)
    changes |= ort_tokenizer.fix(loaded.tokenizer, files)
    return BuildResult(
        mended=changes,
        graph=ort_graph.read(files / "model.onnx"),
        tokenizer=ort_tokenizer.compare(loaded.tokenizer, files, spec.remote_code),
        two_heads=built.two_heads or None,
        tokenizer_corrected=loaded.corrected,
    )


if __name__ == "__main__":
    start.run(run, BuildRequest)
