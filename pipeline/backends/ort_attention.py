"""What the attention operators of ONNX Runtime do not take, known from config.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.ort_options import OnnxRuntimeGenAI

# Whose rotation is an operator of its own, so that the attention need not do it (is_fused_rope_supported in the builder's classes).
_ROTATED_BEFORE = ("HunYuanDenseV1ForCausalLM",)


def strange_heads(kind: str, config: Mapping[str, Any], build: OnnxRuntimeGenAI) -> Iterator[str]:
    """Heads of a size that GroupQueryAttention refuses when the model is run (onnxruntime 1.31, tried with sizes from 8 to 120).

    It wants a multiple of 8, and of 16 where it rotates as well. A model in float32 for cuda has another operator.
    """
    size = head_size(config)
    if size is None or (build.execution_provider == "cuda" and build.quantization.weights == "fp32"):
        return
    divisor = 8 if build.execution_provider == "dml" or kind in _ROTATED_BEFORE else 16
    if size % divisor:
        yield f"ONNX Runtime's GroupQueryAttention takes heads of a multiple of {divisor} numbers, and this model's have {size}"


def head_size(config: Mapping[str, Any]) -> int | None:
    """How many numbers a head of the attention has; None where config.json does not say."""
    told, hidden, heads = (config.get(name) for name in ("head_dim", "hidden_size", "num_attention_heads"))
    return told if told else hidden // heads if hidden and heads else None


def layers_without_rope(kind: str, config: Mapping[str, Any], build: OnnxRuntimeGenAI) -> Iterator[str]:
    """SmolLM3 for DirectML: the builder would rotate within the attention, which it does for other providers only (smollm.py)."""
    if kind == "SmolLM3ForCausalLM" and build.execution_provider == "dml":
        yield "the model builder of onnxruntime-genai 0.18 makes no SmolLM3ForCausalLM for dml: it would rotate within the attention there"
