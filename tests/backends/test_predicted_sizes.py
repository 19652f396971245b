"""The size of a model is known from the checkpoint's shapes: within 2 % of SmolLM2-135M's own builds, whose sizes were measured in MB."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bakehouse.formats.checkpoint import Survey, Tensor
from bakehouse.stages import estimates
from bakehouse.steps.step import Step
from tests.support import openvino_making, ort_making

pytestmark = pytest.mark.needs_backend("onnxruntime_genai", "openvino")
HIDDEN, INNER, KEYS, LAYERS, VOCABULARY = 576, 1536, 192, 30, 49152


def smollm2() -> Survey:
    """Shapes of SmolLM2-135M, whose embedding is its last MatMul, too."""
    layer = {
        "self_attn.q_proj": (HIDDEN, HIDDEN),
        "self_attn.k_proj": (KEYS, HIDDEN),
        "self_attn.v_proj": (KEYS, HIDDEN),
        "self_attn.o_proj": (HIDDEN, HIDDEN),
        "mlp.gate_proj": (INNER, HIDDEN),
        "mlp.up_proj": (INNER, HIDDEN),
        "mlp.down_proj": (HIDDEN, INNER),
        "input_layernorm": (HIDDEN,),
        "post_attention_layernorm": (HIDDEN,),
    }
    shapes = {f"model.layers.{number}.{name}.weight": shape for number in range(LAYERS) for name, shape in layer.items()}
    shapes |= {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "model.norm.weight": (HIDDEN,)}
    config = {
        "model_type": "llama",
        "tie_word_embeddings": True,
        "hidden_size": HIDDEN,
        "num_attention_heads": 9,
        "max_position_embeddings": 8192,
    }
    return Survey(download_bytes=0, config=config, tensors=tuple(Tensor(name=n, dtype="BF16", shape=s) for n, s in shapes.items()))


def predicted_mb(model: Step) -> float:
    return estimates.of(model, smollm2()).disk_bytes / 1e6


@pytest.mark.parametrize(
    ("quantization", "size_mb"),
    [
        ({"weights": "fp16"}, 269.03),
        ({"weights": "int8"}, 135.23),
        ({"weights": "int4", "group_size": 32, "ratio": 0.6}, 108.40),
        ({"weights": "int4", "group_size": 32, "ratio": 0.8}, 99.42),
        ({"weights": "int4", "group_size": 32, "ratio": 1.0}, 89.98),
        ({"weights": "int4", "group_size": 64, "ratio": 1.0}, 85.83),
        ({"weights": "int4", "group_size": 32, "ratio": 1.0, "all_layers": True}, 78.0),
    ],
    ids=json.dumps,
)
def test_the_size_of_an_openvino_model_is_predicted(quantization: dict[str, Any], size_mb: float) -> None:
    model = openvino_making.steps(**quantization)["model"]
    assert predicted_mb(model) == pytest.approx(size_mb, rel=0.02)


@pytest.mark.parametrize(
    ("quantization", "size_mb"),
    [
        ({"weights": "int4", "block_size": 32}, 86),
        ({"weights": "int4", "block_size": 32, "algorithm": "k_quant"}, 88),
        ({"weights": "int4", "block_size": 128}, 80),
    ],
    ids=json.dumps,
)
def test_the_size_of_an_onnx_model_is_predicted(quantization: dict[str, Any], size_mb: float) -> None:
    assert predicted_mb(ort_making.model_step(ort_making.build(**quantization))) == pytest.approx(size_mb, rel=0.02)


def test_a_last_matmul_of_its_own_precision_brings_the_embedding_in_float() -> None:
    mixed = {"weights": "int4", "matmul_mixed_precision": {"last_matmul": "int8", "mixed_layers": "int8"}}
    assert predicted_mb(ort_making.model_step(ort_making.build(**mixed))) == pytest.approx(224, rel=0.02)
