"""Writes GGUF files from transformers models, so that reading them back can be compared with the model they were made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, GGUFWriter, get_tensor_name_map

from tests.support.standin import byte_level_metadata

# GGUF's architecture of each model type of transformers: a Mistral is a Llama there.
ARCHITECTURES = {
    "llama": MODEL_ARCH.LLAMA,
    "mistral": MODEL_ARCH.LLAMA,
    "qwen2": MODEL_ARCH.QWEN2,
    "qwen3": MODEL_ARCH.QWEN3,
    "gemma2": MODEL_ARCH.GEMMA2,
    "gemma3_text": MODEL_ARCH.GEMMA3,
    "phi3": MODEL_ARCH.PHI3,
}
_ROPE = {"rope_type": "default", "rope_theta": 50000.0}
# What a family has besides, with values that no default of transformers has.
_OWN: dict[str, dict[str, Any]] = {
    "qwen3": {"head_dim": 32},
    "gemma2": {
        "head_dim": 32,
        "query_pre_attn_scalar": 32,
        "sliding_window": 8,
        "attn_logit_softcapping": 20.0,
        "final_logit_softcapping": 10.0,
    },
    "gemma3_text": {
        "head_dim": 32,
        "query_pre_attn_scalar": 32,
        "num_hidden_layers": 7,  # the sixth is the first with full attention
        "sliding_window": 8,
        "rope_parameters": {"full_attention": _ROPE, "sliding_attention": _ROPE | {"rope_theta": 10000.0}},
    },
    "phi3": {"sliding_window": 8, "original_max_position_embeddings": 512, "rope_parameters": _ROPE | {"partial_rotary_factor": 0.5}},
}


def tiny_model(architecture: str, **changes: Any) -> Any:
    """A random model of 2 layers, in float32 with weights that bfloat16 can hold, for the vocabulary of byte_level_metadata."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    sizes = {
        "vocab_size": len(byte_level_metadata()["tokenizer.ggml.tokens"]),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-6,
        "pad_token_id": 0,  # a default may lie beyond the vocabulary
        "rope_parameters": _ROPE,
        "tie_word_embeddings": False,
    }
    config = AutoConfig.for_model(architecture, **(sizes | _OWN.get(architecture, {}) | changes))
    model = AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():  # biases and norms too
        parameter.data = torch.randn_like(parameter).mul(0.2).to(torch.bfloat16).float()
    return model.eval()


def write(path: Path, model: Any, tokenizer: Mapping[str, Any], more: Mapping[str, Any] | None = None, **extra: Any) -> Path:
    """Write `model` with the tokenizer's metadata.

    `more` are tensors besides the weights; `extra` are keys below the architecture, dots as `__`.
    """
    config = model.config
    kind = ARCHITECTURES[config.model_type]
    writer = GGUFWriter(path, MODEL_ARCH_NAMES[kind])
    _describe(writer, config)
    _add_tokenizer(writer, tokenizer)
    for key, value in extra.items():
        add = {str: writer.add_string, int: writer.add_uint32, float: writer.add_float32}[type(value)]
        add(f"{MODEL_ARCH_NAMES[kind]}.{key.replace('__', '.')}", value)
    names = get_tensor_name_map(kind, config.num_hidden_layers)
    for name, weight in model.state_dict().items():
        stem, _, suffix = name.rpartition(".")
        if stem == "lm_head" and config.tie_word_embeddings:
            continue
        writer.add_tensor(f"{names.get_name(stem)}.{suffix}", _as_stored(stem, weight.numpy(), config, kind))
    for name, values in (more or {}).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _describe(writer: Any, config: Any) -> None:
    """The keys that llama.cpp's converter writes for a model of this family."""
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters.get("full_attention", config.rope_parameters)
    writer.add_rope_freq_base(rope["rope_theta"])
    if config.model_type in ("qwen3", "gemma2", "gemma3_text"):
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    if config.model_type in ("gemma2", "gemma3_text", "phi3"):
        writer.add_sliding_window(config.sliding_window or 0)
    if config.model_type == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if config.model_type == "phi3":
        head = config.hidden_size // config.num_attention_heads
        writer.add_rope_dimension_count(int(head * rope["partial_rotary_factor"]))
        writer.add_rope_scaling_orig_ctx_len(config.original_max_position_embeddings)


def _add_tokenizer(writer: Any, tokenizer: Mapping[str, Any]) -> None:
    writer.add_tokenizer_model(tokenizer["tokenizer.ggml.model"])
    writer.add_tokenizer_pre(tokenizer["tokenizer.ggml.pre"])
    writer.add_token_list(tokenizer["tokenizer.ggml.tokens"])
    writer.add_token_types(tokenizer["tokenizer.ggml.token_type"])
    if "tokenizer.ggml.merges" in tokenizer:
        writer.add_token_merges(tokenizer["tokenizer.ggml.merges"])
    if "tokenizer.ggml.scores" in tokenizer:
        writer.add_token_scores(tokenizer["tokenizer.ggml.scores"])
    for name in ("bos", "eos", "eot", "unknown", "padding"):
        if (key := f"tokenizer.ggml.{name}_token_id") in tokenizer:
            writer.add_uint32(key, tokenizer[key])
    for name in ("add_bos_token", "add_eos_token", "add_space_prefix"):
        if (key := f"tokenizer.ggml.{name}") in tokenizer:
            writer.add_bool(key, tokenizer[key])
    if "tokenizer.chat_template" in tokenizer:
        writer.add_chat_template(tokenizer["tokenizer.chat_template"])


def _as_stored(stem: str, values: Any, config: Any, kind: MODEL_ARCH) -> Any:
    """A weight as llama.cpp's converter stores it."""
    if kind is MODEL_ARCH.LLAMA and stem.endswith(("q_proj", "k_proj")):
        heads = config.num_attention_heads if stem.endswith("q_proj") else config.num_key_value_heads
        # llama.cpp rotates neighbouring pairs, transformers the halves of a head.
        return values.reshape(heads, 2, values.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(values.shape).copy()
    if kind in (MODEL_ARCH.GEMMA2, MODEL_ARCH.GEMMA3) and stem.endswith("norm"):
        return values + 1  # the factor itself, of which transformers keeps the distance from one
    return values.copy()
