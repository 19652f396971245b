"""What the attention operators of ONNX Runtime do not take, known from config.json."""

from __future__ import annotations

from collections.abc import Iterator

from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.formats.config_json import Config
from bakehouse.tasks.text_generation.workers import positions


def strange_heads(kind: str, config: Config, build: OnnxRuntimeGenAI) -> Iterator[str]:
    """Heads of a size that GroupQueryAttention refuses when the model is run (onnxruntime 1.31, tried with sizes from 8 to 120).

    It wants a multiple of 8, and of 16 where it rotates complete heads as well, which another operator does instead for every model but
    SmolLM3 (plan.rotated_before). A model in float32 for cuda has another operator for attention, too.
    """
    size = positions.head_size(config)
    if size is None or (build.execution_provider == "cuda" and build.quantization.weights == "fp32"):
        return
    divisor = 16 if kind == "SmolLM3ForCausalLM" and build.execution_provider != "dml" else 8
    if size % divisor:
        yield f"ONNX Runtime's GroupQueryAttention takes heads of a multiple of {divisor} numbers, and this model's have {size}"


def layers_without_rope(kind: str, config: Config, build: OnnxRuntimeGenAI) -> Iterator[str]:
    """SmolLM3 for DirectML: the builder would rotate within the attention, which it does for other providers only (smollm.py)."""
    if kind == "SmolLM3ForCausalLM" and build.execution_provider == "dml":
        yield "the model builder of onnxruntime-genai 0.18 makes no SmolLM3ForCausalLM for dml: it would rotate within the attention there"
