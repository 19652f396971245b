"""Writes GGUF files from transformers models, so that reading them back can be compared with the model they were made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gguf import MODEL_ARCH, GGUFWriter, get_tensor_name_map

from tests.support.standin import byte_level_metadata

ARCHITECTURES = {"llama": MODEL_ARCH.LLAMA, "qwen2": MODEL_ARCH.QWEN2}


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
        "rope_parameters": {"rope_type": "default", "rope_theta": 50000.0},
        "tie_word_embeddings": False,
    }
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **(sizes | changes)))
    for parameter in model.parameters():  # biases and norms too
        parameter.data = torch.randn_like(parameter).mul(0.2).to(torch.bfloat16).float()
    return model.eval()


def write(path: Path, model: Any, tokenizer: Mapping[str, Any], **extra: Any) -> Path:
    """Write `model` (Llama or Qwen2) with the tokenizer's metadata; `extra` are keys below the architecture, dots as `__`."""
    config = model.config
    architecture = config.model_type
    writer = GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_tokenizer_model(tokenizer["tokenizer.ggml.model"])
    writer.add_tokenizer_pre(tokenizer["tokenizer.ggml.pre"])
    writer.add_token_list(tokenizer["tokenizer.ggml.tokens"])
    writer.add_token_types(tokenizer["tokenizer.ggml.token_type"])
    writer.add_token_merges(tokenizer["tokenizer.ggml.merges"])
    for name in ("bos", "eos", "eot", "unknown", "padding"):
        if (key := f"tokenizer.ggml.{name}_token_id") in tokenizer:
            writer.add_uint32(key, tokenizer[key])
    if "tokenizer.ggml.add_bos_token" in tokenizer:
        writer.add_add_bos_token(tokenizer["tokenizer.ggml.add_bos_token"])
    if "tokenizer.chat_template" in tokenizer:
        writer.add_chat_template(tokenizer["tokenizer.chat_template"])
    for key, value in extra.items():
        add = {str: writer.add_string, int: writer.add_uint32, float: writer.add_float32}[type(value)]
        add(f"{architecture}.{key.replace('__', '.')}", value)
    names = get_tensor_name_map(ARCHITECTURES[architecture], config.num_hidden_layers)
    for name, weight in model.state_dict().items():
        stem, _, suffix = name.rpartition(".")
        if stem == "lm_head" and config.tie_word_embeddings:
            continue
        values = weight.numpy()
        if architecture == "llama" and stem.endswith(("q_proj", "k_proj")):
            heads = config.num_attention_heads if stem.endswith("q_proj") else config.num_key_value_heads
            # llama.cpp rotates neighbouring pairs, transformers the halves of a head.
            values = values.reshape(heads, 2, values.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(values.shape)
        writer.add_tensor(f"{names.get_name(stem)}.{suffix}", values.copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
