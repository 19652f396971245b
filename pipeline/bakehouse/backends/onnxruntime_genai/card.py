"""What is peculiar to ONNX Runtime GenAI on a model card; card.md.jinja next to it says how to use the model."""

from __future__ import annotations

from collections.abc import Sequence

from bakehouse.backends import card_words
from bakehouse.backends.base import CardFacts, HubWords
from bakehouse.backends.card_words import Rows
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.onnxruntime_genai.quantization import TITLES, MatMulNBits, OrtInt4, embeds_in_four_bits
from bakehouse.formats import wav
from bakehouse.recipe.kinds import BuildOptions

TOOLS: tuple[str, ...] = (
    *("onnxruntime-genai", "onnxruntime-genai-winml", "onnxruntime-genai-directml", "onnxruntime-genai-cuda"),
    *("onnxruntime", "onnxruntime-directml", "onnxruntime-gpu", "onnxruntime-ep-webgpu", "onnx", "onnx-ir", "transformers", "torch"),
)
_METHODS = {"default": "MLAS, the default", "rtn": "round to nearest", "k_quant": "k-quant, as llama.cpp does it"}
_COMPUTED = ("whatever the provider prefers", "fp32", "fp16 or better", "bf16 or better", "int8 or better")  # by accuracy_level


def hub_words(builds: Sequence[BuildOptions]) -> HubWords:
    """What the hub files such models under, as Microsoft's cards do."""
    precisions = dict.fromkeys(build.quantization.weights for build in builds)
    directml = ["DML"] if any(_ours(build).execution_provider == "dml" for build in builds) else []
    tags = ("ONNX", "ONNXRuntime", "onnxruntime-genai", *directml, *precisions)
    return HubWords(tags, library_name="onnxruntime-genai", inference=False)


def format_of(build: BuildOptions) -> str:
    """What the model is in now."""
    return "ONNX for ONNX Runtime GenAI"


def facts(build: BuildOptions) -> CardFacts:
    """That a speech model hears one window."""
    return CardFacts(longest_recording_s=wav.WINDOW_S)


def quantization(build: BuildOptions) -> Rows:
    """What the model builder did to the weights."""
    done = _ours(build).quantization
    if not isinstance(done, MatMulNBits):
        return (("Weights", card_words.weights(done.weights)),)
    rows: Rows = (
        ("Weights", card_words.weights(done.weights, symmetric=done.algorithm != "k_quant" if done.symmetric is None else done.symmetric)),
        ("Scales", card_words.scales(done.block_size)),
        ("Method", f"{_METHODS[done.algorithm]}, without calibration texts"),
        ("Precision of matrix products", _COMPUTED[done.accuracy_level or 0]),
    )
    return (*rows, *_exceptions(done)) if isinstance(done, OrtInt4) else (*rows, *_left(done))


def _exceptions(done: OrtInt4) -> Rows:
    """What of a 4-bit model has another precision or form."""
    rows: Rows = (("Embedding", "4 bits too"),) if embeds_in_four_bits(done) else ()
    mixed = done.matmul_mixed_precision
    groups = ["the last layer"] if mixed and mixed.last_matmul else []
    groups += ["the most sensitive layers"] if mixed and mixed.mixed_layers else []
    groups += [f"{len(done.int8_nodes)} layers that lose the most in 4"] if done.int8_nodes else []
    rows += (("In 8 bits", " and ".join(groups)),) if groups else ()
    rows += (("Written as", "DequantizeLinear and MatMul (QDQ)"),) if done.use_qdq else ()
    return (*rows, *_left(done))


def _left(done: MatMulNBits) -> Rows:
    return (("Left in floating point", ", ".join(done.nodes_to_exclude)),) if done.nodes_to_exclude else ()


def title(build: BuildOptions) -> str:
    """The execution provider, as people call it."""
    return TITLES[_ours(build).execution_provider]


def _ours(build: BuildOptions) -> OnnxRuntimeGenAI:
    assert isinstance(build, OnnxRuntimeGenAI)
    return build
