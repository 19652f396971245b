"""The fields of a config.json that say how long a model's inputs may be, under all their names; what they mean is for others to say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# As ChatGLM, most models, GPT-2, MPT and CodeGen call the length that a model is made for.
_LENGTH = ("seq_length", "max_position_embeddings", "n_positions", "max_seq_len", "n_ctx")


def length(config: Mapping[str, Any]) -> int | None:
    """How many tokens the model is made for; None where its configuration does not say."""
    return next((size for name in _LENGTH if isinstance(size := config.get(name), int)), None)


def ropes(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What a configuration says of its rotary embeddings, which it may say once or for each kind of layer."""
    for name in ("rope_scaling", "rope_parameters"):
        told = config.get(name)
        if isinstance(told, Mapping):
            inner = [value for value in told.values() if isinstance(value, Mapping)]
            yield from inner or [told]


def rope_kind(rope: Mapping[str, Any]) -> str:
    """The kind of scaling of rotary embeddings, by either word: "linear", "longrope", "default"."""
    return str(rope.get("rope_type") or rope.get("type") or "default")


def context(config: Mapping[str, Any]) -> int | None:
    """Tokens that the model computes something sensible for: its length, or as many times that as `dynamic` scales it."""
    size = length(config)
    factors = [rope.get("factor") or 1.0 for rope in ropes(config) if rope_kind(rope) == "dynamic"]
    return None if size is None else int(size * max(factors, default=1.0))


def window(config: Mapping[str, Any], name: str) -> int:
    """The tokens of the attention window in the field `name`; 0 for none, or one that no layer uses."""
    size = config.get(name)
    kinds = config.get("layer_types")
    unused = name == "sliding_window" and (
        config.get("use_sliding_window") is False or (kinds and not any("sliding" in kind for kind in kinds))
    )
    return size if isinstance(size, int) and not unused else 0
