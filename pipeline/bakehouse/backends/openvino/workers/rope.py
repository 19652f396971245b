"""Rotary embeddings that a traced graph computes for every length, where transformers chooses them in Python."""

from __future__ import annotations

from typing import Any


def follow_lengths(model: Any) -> bool:
    """Have a torch model whose rotary embeddings are scaled by `dynamic` compute their frequencies from the positions; whether it has such.

    transformers 5.5 sets them anew when a sequence grows beyond the context (dynamic_rope_update in modeling_rope_utils.py): in a
    trace that is the choice made for the example, which is short. The numbers are those of _compute_dynamic_ntk_parameters. Of
    longrope, optimum-intel 2.1.0 itself brings both sets of frequencies into the graph.
    """
    rope = getattr(model.config, "rope_parameters", None) or {}
    if rope.get("rope_type") != "dynamic" or "alpha" in rope:  # HunYuan's own kind of it, which is one for all lengths
        return False
    found = [module for module in model.modules() if getattr(module, "rope_type", None) == "dynamic"]
    for module in found:
        module.rope_type = "default"  # else the wrapper around forward would set them too
        module.register_forward_pre_hook(_set_frequencies(model.config), with_kwargs=True)
    return bool(found)


def _set_frequencies(config: Any) -> Any:
    """A hook that sets a rotary embedding's frequencies from the largest position that it computes."""
    import torch

    rope, context = config.rope_parameters, config.max_position_embeddings
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    size = int(head * rope.get("partial_rotary_factor", 1.0))
    factor, base = rope["factor"], rope["rope_theta"]
    powers = torch.arange(0, size, 2, dtype=torch.int64).float() / size

    def hook(module: Any, args: tuple[Any, ...], named: Any) -> None:
        positions = named["position_ids"] if "position_ids" in named else args[1]
        length = torch.clamp(positions.max().float() + 1, min=context)
        grown = base * (factor * length / context - (factor - 1)) ** (size / (size - 2))
        module.inv_freq = 1.0 / grown**powers

    return hook
