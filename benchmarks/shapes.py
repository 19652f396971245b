"""Checkpoints to measure on: the full Phi-3-mini shape with random weights, which costs what the real one costs."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


def add_options(parser: argparse.ArgumentParser) -> None:
    """What every measurement is told of its model."""
    parser.add_argument("--shape", choices=("full", "stand-in"), default="stand-in")
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
        elif options.shape == "full":
            write_phi3_mini(model, standin.phi3_checkpoint(), options.layers)
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


def write_phi3_mini(folder: Path, tokenizer: Path, layers: int = 32) -> None:
    """A checkpoint of Phi-3-mini's shape (7.64 GB with 32 layers, bfloat16, normal weights of 0.02), with a cut tokenizer."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    config = {**PHI3_MINI, "num_hidden_layers": layers}
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "generation_config.json").write_text(json.dumps({"bos_token_id": 1, "eos_token_id": [2], "pad_token_id": 2}))
    for name in ("tokenizer_config.json", "chat_template.jinja", "LICENSE"):
        shutil.copyfile(tokenizer / name, folder / name)
    cut_tokenizer(tokenizer / "tokenizer.json", folder / "tokenizer.json", PHI3_MINI["vocab_size"])
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return (torch.randn(*shape, generator=generator, dtype=torch.float32) * 0.02).to(torch.bfloat16)

    hidden, inner, vocabulary = 3072, 8192, 32064
    index: dict[str, str] = {}
    total = 0

    def save(name: str, tensors: dict[str, torch.Tensor]) -> None:
        nonlocal total
        save_file(tensors, folder / name, metadata={"format": "pt"})
        index.update(dict.fromkeys(tensors, name))
        total += sum(tensor.numel() * 2 for tensor in tensors.values())

    parts = max(1, layers // 16)
    shards = [f"model-{number:05}-of-{parts + 1:05}.safetensors" for number in range(1, parts + 2)]
    for part in range(parts):
        tensors: dict[str, torch.Tensor] = {}
        for number in range(part * layers // parts, (part + 1) * layers // parts):
            at = f"model.layers.{number}."
            tensors |= {
                f"{at}self_attn.qkv_proj.weight": random(3 * hidden, hidden),
                f"{at}self_attn.o_proj.weight": random(hidden, hidden),
                f"{at}mlp.gate_up_proj.weight": random(2 * inner, hidden),
                f"{at}mlp.down_proj.weight": random(hidden, inner),
                f"{at}input_layernorm.weight": torch.ones(hidden, dtype=torch.bfloat16),
                f"{at}post_attention_layernorm.weight": torch.ones(hidden, dtype=torch.bfloat16),
            }
        save(shards[part], tensors)
    ends = {
        "model.embed_tokens.weight": random(vocabulary, hidden),
        "lm_head.weight": random(vocabulary, hidden),
        "model.norm.weight": torch.ones(hidden, dtype=torch.bfloat16),
    }
    save(shards[-1], ends)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": index}, indent=2))
