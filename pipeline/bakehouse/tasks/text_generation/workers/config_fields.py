"""The fields of a config.json about how long a model's inputs may be, under all their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bakehouse.formats import fields
from bakehouse.formats.config_json import Config

# As ChatGLM, most models, GPT-2, MPT and CodeGen call the length that a model is made for.
_LENGTH = ("seq_length", "max_position_embeddings", "n_positions", "max_seq_len", "n_ctx")


def length(config: Config) -> int | None:
    """How many tokens the model is made for; None where its configuration does not name it."""
    return fields.first(config, *_LENGTH)


def ropes(config: Config) -> Iterator[Config]:
    """What a configuration has on rotary embeddings: once, or for each kind of layer."""
    for name in ("rope_scaling", "rope_parameters"):
        rope = config.get(name)
        if isinstance(rope, Mapping):
            inner = [value for value in rope.values() if isinstance(value, Mapping)]
            yield from inner or [rope]


def rope_kind(rope: Config) -> str:
    """The kind of scaling of rotary embeddings, by either word: "linear", "longrope", "default"."""
    return str(rope.get("rope_type") or rope.get("type") or "default")


def context(config: Config) -> int | None:
    """Tokens that the model computes something sensible for: its length, or as many times that as `dynamic` scales it."""
    size = length(config)
    factors = [fields.number(rope, "factor") or 1.0 for rope in ropes(config) if rope_kind(rope) == "dynamic"]
    return None if size is None else int(size * max(factors, default=1.0))


def window(config: Config, name: str) -> int:
    """The tokens of the attention window in the field `name`; 0 for none, or one that no layer uses."""
    kinds = fields.texts(config, "layer_types")
    unused = name == "sliding_window" and (
        config.get("use_sliding_window") is False or (kinds and not any("sliding" in kind for kind in kinds))
    )
    return 0 if unused else fields.integer(config, name) or 0
