"""What a model says with a LoRA adapter: greedy tokens from fixed starts, and the logits along them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_SEED = 20240613
_START = 8  # tokens


@dataclass(frozen=True)
class Answers:
    """Rows of tokens, each a start and what followed, and the logits at every position."""

    tokens: Any
    logits: Any


def answers(model: Any, starts: int, tokens: int) -> Answers:
    """What the model writes greedily after starts of random tokens, which are the same each time."""
    import torch

    vocabulary = model.get_input_embeddings().weight.shape[0]
    rows = torch.randint(0, vocabulary, (starts, _START), generator=torch.Generator().manual_seed(_SEED))
    with torch.inference_mode():
        for _ in range(tokens):
            rows = torch.cat([rows, model(input_ids=rows, use_cache=False).logits[:, -1:].argmax(-1)], dim=1)
        return Answers(rows, model(input_ids=rows, use_cache=False).logits)


def difference(model: Any, wanted: Answers) -> float:
    """How far a model's logits are from those wanted along the same tokens, as a part of the largest logit."""
    import torch

    with torch.inference_mode():
        found = model(input_ids=wanted.tokens, use_cache=False).logits
    return float((found - wanted.logits).abs().max() / wanted.logits.abs().max())


def scale(model: Any, factor: float) -> None:
    """Multiply what a model's adapter adds."""
    from peft.tuners.lora import LoraLayer

    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.scale_layer(factor)
