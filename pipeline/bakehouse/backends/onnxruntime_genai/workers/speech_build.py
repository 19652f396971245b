"""Builds a speech model's folder for ONNX Runtime GenAI with its own model builder, and reads it back."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bakehouse.backends.onnxruntime_genai import source, speech_verify, words
from bakehouse.backends.onnxruntime_genai.seams import Changes, Graph, SpeechRequest, SpeechResult, SpeechSpec, SpeechTokenizer
from bakehouse.backends.onnxruntime_genai.speech_verify import GENERATION, GRAPHS, languages, longest
from bakehouse.backends.onnxruntime_genai.workers import build as ort_build
from bakehouse.backends.onnxruntime_genai.workers import stub as ort_stub
from bakehouse.child import events, start, temporary
from bakehouse.formats import checkpoint as surveys
from bakehouse.formats import fields
from bakehouse.tasks.text_generation.workers import loading
from bakehouse.tasks.workers import hard_texts

_Method = Callable[[Any], None]


def build(checkpoint: Path, files: Path, spec: SpeechSpec) -> Changes:
    """Fill `files` as the builder's command line does; what it was made to do otherwise, by name."""
    from onnxruntime_genai.models import builder

    config = surveys.read_checkpoint(checkpoint).config
    weights, provider, layers = spec.quantization.weights, spec.execution_provider, fields.integer(config, "decoder_layers") or 0
    with tempfile.TemporaryDirectory() as cache, contextlib.redirect_stdout(ort_build.Output(layers)):
        os.environ["HF_MODULES_CACHE"] = cache
        extra = list(words.extra_options(spec))
        options = builder.parse_extra_options(None, str(checkpoint), str(files), weights, provider, cache, extra)
        events.progress("loading the checkpoint")
        with ort_build.refusals_in_words(), loading.watched(), heard_by(layers):
            builder.create_model(None, str(checkpoint), str(files), weights, provider, cache, **options)
    uneven = layers != config["encoder_layers"]
    return {"encoder": f"keys and values for {layers} layers of the decoder"} if uneven else {}


@contextlib.contextmanager
def heard_by(layers: int) -> Iterator[None]:
    """Have the encoder give keys and values to so many layers of the decoder.

    The builder makes them for as many as the encoder has (0.18.0, whisper.py), which distilled models and large-v3-turbo have more of.
    """
    from builders.whisper import WhisperEncoder

    own = WhisperEncoder.make_inputs_and_outputs, WhisperEncoder.make_postprocessing_nodes
    WhisperEncoder.make_inputs_and_outputs, WhisperEncoder.make_postprocessing_nodes = (_with_layers(method, layers) for method in own)
    try:
        yield
    finally:
        WhisperEncoder.make_inputs_and_outputs, WhisperEncoder.make_postprocessing_nodes = own


def _with_layers(method: _Method, layers: int) -> _Method:
    def made(encoder: Any) -> None:
        own, encoder.num_layers = encoder.num_layers, layers
        method(encoder)
        encoder.num_layers = own

    return made


def fix_length(files: Path, most: int) -> Changes:
    """Have texts end where the checkpoint's do, which says so in its generation config; the builder does not read that."""
    config = ort_build.read_config(files)
    if config["search"]["max_length"] == most:
        return {}
    config["search"]["max_length"] = most
    ort_build.write_config(files, config)
    return {"max_length": most}


def read(path: Path) -> Graph:
    """A graph with its convolutions."""
    from bakehouse.backends.onnxruntime_genai.workers import graph as ort_graph

    found = ort_graph.read(path)
    return found.model_copy(update={"weights": (*ort_graph.convolutions(path), *found.weights)})


def compare(checkpoint: Path, files: Path, remote_code: bool) -> SpeechTokenizer:
    """Where the runtime's tokenizer differs from transformers'."""
    events.progress("comparing the tokenizers")
    from transformers import AutoTokenizer

    own = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True, trust_remote_code=remote_code)
    other = _runtime(files)
    texts = [text for text in hard_texts.TEXTS if text]
    ids = {text: own(text, add_special_tokens=False)["input_ids"] for text in texts}
    prompts = ("<|startoftranscript|>", "<|transcribe|>", "<|notimestamps|>", *languages(speech_verify.read(checkpoint / GENERATION)))
    return SpeechTokenizer(
        texts=len(texts),
        different=tuple(text for text in texts if other.encode(text).tolist() != ids[text]),
        decoded=tuple(text for text in texts if str(other.decode(ids[text])) != own.decode(ids[text], skip_special_tokens=True)),
        unknown=tuple(token for token in prompts if other.encode(token).tolist() != [own.convert_tokens_to_ids(token)]),
    )


def _runtime(files: Path) -> Any:
    """og.Tokenizer of a model folder, without its weights: a graph of a text model stands for both of its own."""
    import onnxruntime_genai as og

    with temporary.folder() as folder:
        ort_stub.write(files, Path(folder))
        config = ort_build.read_config(Path(folder))
        del config["model"]["encoder"]
        config["model"]["type"] = "llama"
        ort_build.write_config(Path(folder), config)
        return og.Tokenizer(og.Model(folder))


def run(request: SpeechRequest) -> SpeechResult:
    """Make the model folder, put right what the builder leaves out, and read it back."""
    checkpoint, files, spec = request.checkpoint, request.files, request.spec
    os.environ["GIT_DIR"] = os.devnull  # as in `build`
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        ort_build.stream(checkpoint, Path(folder))
        changes = build(checkpoint, files, spec)
    changes |= ort_build.fix_config(files, source.generation(checkpoint))
    changes |= fix_length(files, longest(checkpoint, surveys.read_checkpoint(checkpoint)))
    shutil.copyfile(checkpoint / GENERATION, files / GENERATION)
    return SpeechResult(
        mended=changes,
        encoder=read(files / GRAPHS["encoder"]),
        decoder=read(files / GRAPHS["decoder"]),
        tokenizer=compare(checkpoint, files, spec.remote_code),
    )


if __name__ == "__main__":
    start.run(run, SpeechRequest)
