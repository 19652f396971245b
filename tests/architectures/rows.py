"""The architectures that are tried, one row each: the model type, and what its tiny model has besides the usual sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LAYERS = 8  # OpenVINO's NPU pipeline (2026.4.1) folds equal layers, and cannot compile some models of fewer
WINDOW = 64  # tokens of a sliding window: the longest prompt passes it
USUAL: Mapping[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "initializer_range": 0.1,
    "tie_word_embeddings": False,
}

_HEAD = {"head_dim": 32}
_TIED = {"tie_word_embeddings": True}
_EXPERTS = {"num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
_SHARED = {
    **_EXPERTS,
    "shared_expert_intermediate_size": 64,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
_WINDOWED = {"sliding_window": WINDOW}
_HALF = [kind for _ in range(LAYERS // 2) for kind in ("sliding_attention", "full_attention")]
_MIXED = {"layer_types": _HALF, **_WINDOWED}
_GEMMA = {**_HEAD, **_TIED, "query_pre_attn_scalar": 32}
_MLA = {"q_lora_rank": 64, "kv_lora_rank": 32, "qk_rope_head_dim": 16, "qk_nope_head_dim": 16, "v_head_dim": 32, "num_key_value_heads": 4}
_LONG = [1.0 + number / 8 for number in range(16)]
_LONGROPE = {
    "rope_parameters": {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0] * 16,
        "long_factor": _LONG,
        "original_max_position_embeddings": 256,
    },
    "original_max_position_embeddings": 256,
}
_SSM = {"state_size": 16, "conv_kernel": 4, "expand": 2, "num_heads": 8, "head_dim": 32, "n_groups": 1, "chunk_size": 32}
_MAMBA = {"mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_n_heads": 8, "mamba_d_head": 32, "mamba_n_groups": 1}
_ALTERNATING = ["mamba", "attention"] * (LAYERS // 2)

# Name -> model type, and what differs from the usual sizes. A name is its model type, with a word behind it for a second of a type.
ROWS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "afmoe": ("afmoe", {**_SHARED, **_HEAD, "num_dense_layers": 1, "layer_types": _HALF, **_WINDOWED}),
    "apertus": ("apertus", {}),
    "arcee": ("arcee", _HEAD),
    "bamba": ("bamba", {**_MAMBA, "attn_layer_indices": [1, 3, 5, 7]}),
    "biogpt": ("biogpt", {}),
    "bitnet": ("bitnet", {}),
    "bloom": ("bloom", {}),
    "codegen": ("codegen", {"rotary_dim": 16}),
    "cohere": ("cohere", {**_TIED, "logit_scale": 1.0}),
    "cohere2": ("cohere2", {**_TIED, **_HEAD, **_MIXED, "logit_scale": 1.0}),
    "deepseek_v2": ("deepseek_v2", {**_SHARED, **_MLA}),
    "deepseek_v3": ("deepseek_v3", {**_SHARED, **_MLA}),
    "diffllama": ("diffllama", _HEAD),
    "doge": ("doge", {}),
    "dots1": ("dots1", {**_SHARED, **_HEAD}),
    "ernie4_5": ("ernie4_5", _HEAD),
    "ernie4_5_moe": ("ernie4_5_moe", {**_SHARED, "moe_num_experts": 4, "moe_k": 2, "moe_num_shared_experts": 1}),
    "exaone4": ("exaone4", {**_HEAD, **_MIXED}),
    "falcon": ("falcon", {"new_decoder_architecture": False, "multi_query": True, "parallel_attn": True, "bias": False, "alibi": False}),
    "falcon-new": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2, "parallel_attn": True, "bias": False, "alibi": False}),
    "falcon_h1": ("falcon_h1", {**_MAMBA, "mamba_d_ssm": 256}),
    "falcon_mamba": ("falcon_mamba", _SSM),
    "flex_olmo": ("flex_olmo", _EXPERTS),
    "gemma": ("gemma", {**_HEAD, **_TIED}),
    "gemma2": ("gemma2", {**_GEMMA, **_WINDOWED}),
    "gemma3_text": ("gemma3_text", {**_GEMMA, **_WINDOWED, "layer_types": _HALF}),
    "glm": ("glm", _HEAD),
    "glm4": ("glm4", _HEAD),
    "glm4_moe": ("glm4_moe", {**_SHARED, **_HEAD}),
    "gpt2": ("gpt2", _TIED),
    "gpt_bigcode": ("gpt_bigcode", {**_TIED, "multi_query": True}),
    "gpt_neo": ("gpt_neo", {**_TIED, "attention_types": [[["global", "local"], LAYERS // 2]], "window_size": WINDOW}),
    "gpt_neox": ("gpt_neox", {"rotary_pct": 0.25}),
    "gpt_neox_japanese": ("gpt_neox_japanese", {"intermediate_multiple_size": 2}),
    "gpt_oss": ("gpt_oss", {**_EXPERTS, **_HEAD, **_WINDOWED}),
    "gptj": ("gptj", {"rotary_dim": 16}),
    "granite": ("granite", {"logits_scaling": 2.0, "residual_multiplier": 0.5, "embedding_multiplier": 4.0, "attention_multiplier": 0.2}),
    "granitemoe": ("granitemoe", _EXPERTS),
    "granitemoehybrid": ("granitemoehybrid", {**_EXPERTS, **_MAMBA, "layer_types": _ALTERNATING, "shared_intermediate_size": 64}),
    "granitemoeshared": ("granitemoeshared", {**_EXPERTS, "shared_intermediate_size": 64}),
    "helium": ("helium", _HEAD),
    "hunyuan_v1_dense": ("hunyuan_v1_dense", _HEAD),
    "hunyuan_v1_moe": ("hunyuan_v1_moe", {**_EXPERTS, **_HEAD, "moe_topk": 2}),
    "jais2": ("jais2", _HEAD),
    "jamba": ("jamba", {**_EXPERTS, **_MAMBA, "attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False}),
    "jetmoe": ("jetmoe", {**_EXPERTS, "kv_channels": 32}),
    "lfm2": ("lfm2", {"layer_types": ["conv", "full_attention"] * (LAYERS // 2), "block_auto_adjust_ff_dim": False}),
    "lfm2_moe": ("lfm2_moe", {**_EXPERTS, "layer_types": ["conv", "full_attention"] * (LAYERS // 2), "num_dense_layers": 1}),
    "llama": ("llama", {}),
    "llama4_text": ("llama4_text", {**_EXPERTS, **_HEAD, "intermediate_size_mlp": 256, "attention_chunk_size": 256}),
    "mamba": ("mamba", _SSM),
    "mamba2": ("mamba2", _SSM),
    "minimax": ("minimax", {**_EXPERTS, **_HEAD, "layer_types": ["linear_attention", "full_attention"] * (LAYERS // 2), "block_size": 32}),
    "ministral": ("ministral", {**_HEAD, **_MIXED}),
    "ministral3": ("ministral3", _HEAD),
    "mistral": ("mistral", {"sliding_window": None}),
    "mistral-window": ("mistral", _WINDOWED),
    "mixtral": ("mixtral", _EXPERTS),
    "modernbert-decoder": ("modernbert-decoder", {"local_attention": WINDOW}),
    "mpt": ("mpt", _TIED),
    "nanochat": ("nanochat", {}),
    "nemotron": ("nemotron", _HEAD),
    "olmo": ("olmo", {}),
    "olmo2": ("olmo2", {}),
    "olmo3": ("olmo3", {**_WINDOWED, "layer_types": _HALF}),
    "olmoe": ("olmoe", _EXPERTS),
    "opt": ("opt", {"ffn_dim": 256, "word_embed_proj_dim": 128, "do_layer_norm_before": True, **_TIED}),
    "persimmon": ("persimmon", {}),
    "phi": ("phi", {"num_key_value_heads": 4}),
    "phi3": ("phi3", {"original_max_position_embeddings": 512}),
    "phi3-longrope": ("phi3", _LONGROPE),
    "phi3-window": ("phi3", {"original_max_position_embeddings": 512, **_WINDOWED}),
    "phimoe": ("phimoe", _EXPERTS),
    "qwen2": ("qwen2", {}),
    "qwen2-window": ("qwen2", {**_WINDOWED, "use_sliding_window": True, "max_window_layers": 0}),
    "qwen2_moe": ("qwen2_moe", {**_SHARED, "decoder_sparse_step": 1}),
    "qwen3": ("qwen3", _HEAD),
    "qwen3_5_text": ("qwen3_5_text", {**_HEAD, "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 32}),
    "qwen3_moe": ("qwen3_moe", {**_SHARED, **_HEAD, "decoder_sparse_step": 1}),
    "qwen3_next": ("qwen3_next", {**_SHARED, **_HEAD, "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 32}),
    "recurrent_gemma": ("recurrent_gemma", {"lru_width": 128, "attention_window_size": WINDOW}),
    "rwkv": ("rwkv", {"attention_hidden_size": 128, "context_length": 512}),
    "seed_oss": ("seed_oss", _HEAD),
    "smollm3": ("smollm3", _TIED),
    "solar_open": ("solar_open", {**_SHARED, **_HEAD}),
    "stablelm": ("stablelm", {}),
    "starcoder2": ("starcoder2", _TIED),
    "vaultgemma": ("vaultgemma", {**_GEMMA, **_WINDOWED}),
    "xglm": ("xglm", {"d_model": 128, "ffn_dim": 256, "attention_heads": 4, "num_layers": LAYERS}),
    "zamba2": (
        "zamba2",
        {**_MAMBA, "mamba_ngroups": 1, "n_mamba_heads": 8, "mamba_headdim": 32, "layers_block_type": ["mamba", "hybrid"] * (LAYERS // 2)},
    ),
}
# Rows that have another seed than 0, with which a token of an answer is as good as another: rounding would decide it.
SEEDS: Mapping[str, int] = {
    "falcon": 35,
    "gemma": 37,
    "glm": 38,
    "gpt_oss": 1,
    "hunyuan_v1_dense": 35,
    "olmo": 9,
    "phi3": 28,
    "phimoe": 18,
    "qwen2": 99,
}
