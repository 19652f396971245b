"""A tiny Qwen3 as an embedding model and as a reranker, as Qwen3-Embedding and Qwen3-Reranker are laid out; its weights are random.

The weights are drawn from a seed, and the tokenizer is that of SmolLM2, which ends each text that is embedded as Qwen3-Embedding's does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support import standin
from tests.support.standin import made_once

# What Qwen3-Embedding wants before queries, and nothing before texts.
INSTRUCTION = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
_END = "<|endoftext|>"
_SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}


def embedding() -> Path:
    """The model without a head, with the files of sentence-transformers: the state of the last token, divided by its length."""
    return made_once("qwen3-embedding-1", _write_embedding)


def reranker() -> Path:
    """The model with its head: it writes yes or no behind a query and a text."""
    return made_once("qwen3-reranker-1", _write_reranker)


def _write_reranker(folder: Path) -> None:
    import torch
    from transformers import Qwen3ForCausalLM

    tokenizer = _tokenizer()
    torch.manual_seed(0)
    Qwen3ForCausalLM(_config(tokenizer)).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _config(tokenizer: Any) -> Any:
    from transformers import Qwen3Config

    sizes = {**_SIZES, "intermediate_size": 128, "vocab_size": len(tokenizer), "max_position_embeddings": 1024}
    return Qwen3Config(**sizes, initializer_range=0.3, tie_word_embeddings=True, eos_token_id=tokenizer.eos_token_id)


def _tokenizer() -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(standin.smollm2_checkpoint())
    tokenizer.padding_side, tokenizer.pad_token, tokenizer.model_max_length = "left", _END, 1024
    return tokenizer


def _write_embedding(folder: Path) -> None:
    import torch
    from tokenizers.processors import TemplateProcessing
    from transformers import Qwen3Model

    tokenizer = _tokenizer()
    end = tokenizer.convert_tokens_to_ids(_END)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"$A {_END}", special_tokens=[(_END, end)])
    torch.manual_seed(0)
    config = _config(tokenizer)
    Qwen3Model(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(kinds)
    ]
    _write(folder / "modules.json", modules)
    _write(folder / "1_Pooling/config.json", {"word_embedding_dimension": _SIZES["hidden_size"], "pooling_mode_lasttoken": True})
    _write(
        folder / "config_sentence_transformers.json", {"prompts": {"query": INSTRUCTION, "document": ""}, "similarity_fn_name": "cosine"}
    )


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
