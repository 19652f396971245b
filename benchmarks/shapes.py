"""Checkpoints to measure on: the full shapes of Phi-3-mini and Llama-3.1-8B with random weights, which cost what the real ones cost."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import standin

PHI3_MINI = {
    "architectures": ["Phi3ForCausalLM"],
    "model_type": "phi3",
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32064,
    "max_position_embeddings": 4096,
    "original_max_position_embeddings": 4096,
    "sliding_window": 2047,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "dtype": "bfloat16",
    "use_cache": True,
}

LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-05,
    "rope_scaling": {
        "factor": 8.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "rope_theta": 500000.0,
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "dtype": "bfloat16",
    "use_cache": True,
}
SHAPES: Mapping[str, Mapping[str, Any]] = {"full": PHI3_MINI, "8b": LLAMA_8B}
_SHARD = {"full": 16, "8b": 8}  # layers in one file


def add_options(parser: argparse.ArgumentParser) -> None:
    """What every measurement is told of its model."""
    parser.add_argument("--shape", choices=(*SHAPES, "stand-in"), default="stand-in", help="full: Phi-3-mini's, 8b: Llama-3.1-8B's")
    parser.add_argument("--layers", type=int, default=32, help="fewer layers of the full shape, for a quick look")
    parser.add_argument("--model", type=Path, default=None, help="a checkpoint that is there already, in place of one that is made anew")
    parser.add_argument("--scratch", type=Path, default=None, help="where the scratch folder is made; beside a --model, for hard links")


@contextmanager
def made(options: argparse.Namespace) -> Iterator[tuple[Path, Path]]:
    """The model that the options ask for and the scratch folder that it lies in, for as long as the body runs."""
    scratch = Path(tempfile.mkdtemp(prefix="bench-", dir=options.scratch))
    try:
        model = scratch / "model"
        if options.model:
            shutil.copytree(options.model, model, copy_function=link)
        elif options.shape in SHAPES:
            write(model, standin.phi3_checkpoint(), options.shape, options.layers)
        else:
            shutil.copytree(standin.phi3_checkpoint(), model)
        yield model, scratch
    finally:
        shutil.rmtree(scratch)


def link(source: str, target: str) -> None:
    """A copy of a file that takes no room; for `shutil.copytree`."""
    Path(target).hardlink_to(source)


def cut_tokenizer(path: Path, to: Path, rows: int) -> None:
    """A byte-pair tokenizer without the tokens that an embedding of so many rows has no row for; its tokens are in the order of merging."""
    whole = json.loads(path.read_text())
    vocabulary = {token: number for token, number in whole["model"]["vocab"].items() if number < rows}
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in whole["model"]["merges"]]
    whole["model"] |= {"vocab": vocabulary, "merges": [pair for pair in pairs if {*pair, "".join(pair)} <= vocabulary.keys()]}
    to.write_text(json.dumps(whole, ensure_ascii=False))


def write(folder: Path, tokenizer: Path, shape: str, layers: int = 32) -> None:
    """A checkpoint of a shape (7.64 GB and 16.06 GB with 32 layers, bfloat16, normal weights of 0.02), with a cut tokenizer."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    config = {**SHAPES[shape], "num_hidden_layers": layers}
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "generation_config.json").write_text(json.dumps({"bos_token_id": 1, "eos_token_id": [2], "pad_token_id": 2}))
    for name in ("tokenizer_config.json", "chat_template.jinja", "LICENSE"):
        shutil.copyfile(tokenizer / name, folder / name)
    cut_tokenizer(tokenizer / "tokenizer.json", folder / "tokenizer.json", config["vocab_size"])
    generator = torch.Generator().manual_seed(0)

    def made(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
        return {name: weights(size) for name, size in shapes.items()}

    def weights(size: tuple[int, ...]) -> torch.Tensor:
        if len(size) == 1:
            return torch.ones(size, dtype=torch.bfloat16)
        return (torch.randn(size, generator=generator, dtype=torch.float32) * 0.02).to(torch.bfloat16)

    parts = max(1, layers // _SHARD[shape])
    files = [f"model-{number:05}-of-{parts + 1:05}.safetensors" for number in range(1, parts + 2)]
    index: dict[str, str] = {}
    total = 0
    for part, name in enumerate(files):
        numbers = range(part * layers // parts, (part + 1) * layers // parts)
        tensors = made(_ends(config)) if part == parts else {k: v for number in numbers for k, v in made(_layer(config, number)).items()}
        save_file(tensors, folder / name, metadata={"format": "pt"})
        index.update(dict.fromkeys(tensors, name))
        total += sum(tensor.numel() * 2 for tensor in tensors.values())
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": index}, indent=2))


def _layer(config: Mapping[str, Any], number: int) -> dict[str, tuple[int, ...]]:
    """The shapes of a layer's weights, in the order in which random numbers are drawn."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    head = hidden // config["num_attention_heads"]
    queries, keys = head * config["num_attention_heads"], head * config["num_key_value_heads"]
    if config["model_type"] == "phi3":
        first: dict[str, tuple[int, ...]] = {"self_attn.qkv_proj": (queries + 2 * keys, hidden)}
        middle = {"mlp.gate_up_proj": (2 * inner, hidden)}
    else:
        first = {"self_attn.q_proj": (queries, hidden), "self_attn.k_proj": (keys, hidden), "self_attn.v_proj": (keys, hidden)}
        middle = {"mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden)}
    matrices = {**first, "self_attn.o_proj": (hidden, queries), **middle, "mlp.down_proj": (hidden, inner)}
    norms: dict[str, tuple[int, ...]] = dict.fromkeys(("input_layernorm", "post_attention_layernorm"), (hidden,))
    return {f"model.layers.{number}.{name}.weight": size for name, size in (matrices | norms).items()}


def _ends(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shapes of embedding, head and last norm."""
    matrix = (config["vocab_size"], config["hidden_size"])
    return {"model.embed_tokens.weight": matrix, "lm_head.weight": matrix, "model.norm.weight": (config["hidden_size"],)}
