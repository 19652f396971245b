"""Whether a checkpoint and a build fit the model builder's Whisper, and what it will take: from config and shapes alone."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.onnxruntime_genai.quantization import MatMulNBits, OrtInt4, embeds_in_four_bits
from bakehouse.backends.onnxruntime_genai.seams import SpeechSpec
from bakehouse.formats import fields
from bakehouse.formats.checkpoint import Survey, Tensor
from bakehouse.tasks.speech.golden import TASK as SPEECH
from bakehouse.toolchains.table import INSTALLED
from bakehouse.toolchains.table import Name as Toolchain

ARCHITECTURE, MODEL_TYPE = "WhisperForConditionalGeneration", "whisper"
# Left in floating point whatever the recipe says: the encoder's queries, keys and values are weights of an operator of their own.
IN_FLOAT = re.compile(r"encoder\.layers\.\d+\.self_attn\.[qkv]_proj\.|\.conv\d\.|embed_positions\.")
# Options that apply to graphs of text models: nodes have the same names in both of a Whisper's graphs, and groups of them other names.
_OF_TEXT = ("shared_embeddings", "nodes_to_exclude", "matmul_mixed_precision", "int8_nodes", "use_qdq")
_SIZES = ("vocab_size", "num_mel_bins", "max_target_positions", "encoder_layers", "decoder_layers")  # that verify compares
_IO = 4  # bytes of a number that is not quantized


def reasons(build: OnnxRuntimeGenAI, survey: Survey, toolchain: Toolchain) -> Iterator[str]:
    """Sentences, one for each reason why this build of this checkpoint cannot work with this toolchain."""
    kind, tried = next(iter(fields.texts(survey.config, "architectures")), "unknown"), build.unknown_architecture == "try"
    if kind != ARCHITECTURE and not tried:
        yield f"the model builder of onnxruntime-genai 0.18 makes no {kind} for {SPEECH}, only a {ARCHITECTURE}"
    if toolchain != INSTALLED and not tried:
        yield f"models for {SPEECH} are made with the installed release of transformers only: leave `toolchain` out"
    if build.execution_provider != "cpu":
        yield (
            f"models for {SPEECH} are made for cpu here: without its provider onnxruntime-genai 0.18 does not load a Whisper for "
            f"{build.execution_provider}, so this machine could not prove it"
        )
    for name in _OF_TEXT:
        if getattr(build.quantization, name, None):
            yield f"`{name}` is for models that write text, whose graphs it names: leave it out for {SPEECH}"
    if absent := [name for name in _SIZES if fields.integer(survey.config, name) is None]:
        yield f"its config.json does not say {', '.join(absent)}: take a complete checkpoint"
    if unknown := sorted({tensor.dtype for tensor in survey.tensors} - {"F32", "F16", "BF16"}):
        yield f"the checkpoint has tensors of type {', '.join(unknown)}"


def made_bytes(spec: SpeechSpec, survey: Survey) -> int:
    """How large the two graphs' weights will be: the embedding is once more the last MatMul."""
    last = tuple(tensor.model_copy(update={"name": "lm_head.weight"}) for tensor in survey.tensors if "embed_tokens" in tensor.name)
    return round(sum(_bytes(tensor, spec) for tensor in (*survey.tensors, *last)))


def _bytes(tensor: Tensor, spec: SpeechSpec) -> float:
    requested, count = spec.quantization, math.prod(tensor.shape)
    gathers = embeds_in_four_bits(requested)
    in_float = len(tensor.shape) < 2 or IN_FLOAT.search(tensor.name) or ("embed_tokens" in tensor.name and not gathers)
    if in_float or not isinstance(requested, MatMulNBits):
        return _IO * count
    return requested.block_bytes(tensor.shape, _IO, 0.5 if isinstance(requested, OrtInt4) else 1.0)
