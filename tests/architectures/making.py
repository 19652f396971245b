"""Makes the tiny checkpoints: random weights in bfloat16, and a tokenizer of 1,000 tokens. Each is made once a machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.architectures.rows import ROWS, SEEDS, USUAL
from tests.support import standin
from tests.support.cases import making

FORMAT = 2  # raise it when checkpoints come to be made of other bytes


def place(name: str) -> Path:
    """Where a row's checkpoint is, once it is made."""
    return standin.CACHE / _folder(name)


def checkpoint(name: str) -> Path:
    """The folder of a row's checkpoint, made if it is not there yet."""
    return standin.made_once(_folder(name), lambda files: write(name, files))


def _folder(name: str) -> str:
    return f"architecture-{FORMAT}-{name}-{SEEDS.get(name, 0)}"


def write(name: str, files: Path) -> None:
    """Fill an empty folder; needs torch."""
    making.save(model(name), files)


def model(name: str, seed: int | None = None) -> Any:
    """The model of a row: the same weights for the same row, whichever others are made before it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind, changes = ROWS[name]
    config = AutoConfig.for_model(kind, **({**USUAL, "vocab_size": making.VOCABULARY} | changes))
    with torch.random.fork_rng():
        torch.manual_seed(SEEDS.get(name, 0) if seed is None else seed)
        made = AutoModelForCausalLM.from_config(config).to(torch.bfloat16).eval()
        _spread(made)
    return made


def _spread(made: Any) -> None:
    """Have its answers be 24 tokens that differ, and depend on every weight.

    Vectors begin as zeros or ones, and a norm or bias that is left out would not be seen; some classes begin with matrices so small that
    only biases count. A tied embedding makes a token follow itself, and the end token may come early.
    """
    import torch

    for weight in made.parameters():
        if weight.dim() == 1 and weight.numel() > 1:
            weight.data += 0.1 * torch.randn_like(weight)
        elif weight.dim() > 1 and weight.float().std() < 0.05:
            weight.data.normal_(0, 0.1)
    if made.config.tie_word_embeddings:
        made.get_input_embeddings().weight.data *= 0.3
    made.get_output_embeddings().weight.data[USUAL["eos_token_id"]] = 0
