"""Tiny models of many architectures, random weights: 2 layers, hidden 128. What they compute means nothing, that it is the same does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.cases.making import BOTH, ONNX, OPENVINO, Case, model, save

_EXPERTS = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
_QWEN_MOE = {**_EXPERTS, "shared_expert_intermediate_size": 64, "decoder_sparse_step": 1}
_OPT = {"ffn_dim": 256, "word_embed_proj_dim": 128, "do_layer_norm_before": True}
_FALCON = {"new_decoder_architecture": False, "multi_query": True, "parallel_attn": True, "bias": False, "alibi": False}
INT8 = {"ov8": {"runtime": "openvino", "quantization": {"weights": "int8"}}}
# Name -> model type, what differs from the usual configuration, builds.
_KINDS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "arch-qwen3-moe": ("qwen3_moe", {**_QWEN_MOE, "head_dim": 32}, {**OPENVINO, **INT8}),
    "arch-qwen2-moe": ("qwen2_moe", _QWEN_MOE, {**OPENVINO, **INT8}),
    "arch-mixtral": ("mixtral", _EXPERTS, {**OPENVINO, **INT8}),
    "arch-phimoe": ("phimoe", _EXPERTS, {**OPENVINO, **INT8}),
    "arch-gpt-oss": ("gpt_oss", {**_EXPERTS, "head_dim": 32, "sliding_window": 16}, {**OPENVINO, **INT8}),
    "arch-granitemoe": ("granitemoe", _EXPERTS, {**OPENVINO, **INT8}),
    "arch-falcon": ("falcon", _FALCON, {**OPENVINO, **INT8}),
    "arch-opt": ("opt", _OPT, {**OPENVINO, **INT8}),
    "arch-hunyuan": ("hunyuan_v1_dense", {"head_dim": 32}, BOTH),
    "arch-granite": ("granite", {}, ONNX),
    "arch-ernie": ("ernie4_5", {"head_dim": 32}, ONNX),
    "arch-nemotron": ("nemotron", {"head_dim": 32}, ONNX),
    "arch-phi": ("phi", {}, ONNX),
    "arch-gemma": ("gemma", {"head_dim": 32}, ONNX),
    "arch-qwen2": ("qwen2", {}, ONNX),
    "arch-qwen3": ("qwen3", {"head_dim": 32}, ONNX),
    "arch-smollm3": ("smollm3", {"num_hidden_layers": 4}, ONNX),
    **{f"arch-head-{size}": ("llama", {"head_dim": size, "hidden_size": 4 * size}, ONNX) for size in (12, 20, 24, 40, 80)},
}


def _case(kind: str, changes: dict[str, Any], builds: dict[str, Any]) -> Case:
    def make(files: Path) -> None:
        save(model(kind, **({"hidden_size": 128, "intermediate_size": 256} | changes)), files)

    return Case(make, builds=builds)


CASES = {name: _case(*fields) for name, fields in _KINDS.items()}
