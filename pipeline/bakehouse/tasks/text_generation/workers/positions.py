"""What a config.json has on positions: sliding windows, layer kinds and scaled rotary embeddings, as transformers 5.5 reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bakehouse.formats import fields
from bakehouse.formats.config_json import Config
from bakehouse.tasks.text_generation.workers.config_fields import rope_kind

SLIDING, FULL = "sliding_attention", "full_attention"

# modeling_mistral.py, modeling_phi3.py: one mask for all layers, and layer_types is not read. The number is the configuration's default.
_ALL_LAYERS: Mapping[str, int | None] = {"mistral": 4096, "phi3": None}
# configuration_*.py: layer_types is read, and computed where it is absent.
_SOME_LAYERS: Mapping[str, int | None] = {
    "gemma2": 4096,
    "gemma3_text": 4096,
    "gpt_oss": 128,
    "ministral": 4096,
    "qwen2": 4096,
    "qwen3": 4096,
    "smollm3": None,
}
_ON_REQUEST = frozenset({"qwen2", "qwen3", "smollm3"})  # only with use_sliding_window
# Whose modeling code reads partial_rotary_factor, and the configuration's default.
PARTLY_ROTATED: Mapping[str, float] = {"nemotron": 0.5, "phi": 0.5, "phi3": 1.0}
# What RotaryEmbedding of a text model may be set to (ROPE_INIT_FUNCTIONS in modeling_rope_utils.py), and the plain one.
KINDS = frozenset({"default", "linear", "dynamic", "yarn", "longrope", "llama3"})


@dataclass(frozen=True)
class Scaling:
    """How rotary embeddings are scaled: one of KINDS, or a word that transformers does not know."""

    kind: str


def window(config: Config) -> int | None:
    """The number of tokens that a layer with a sliding window sees, itself included; None if no layer has one within the context."""
    kind = fields.text(config, "model_type")
    if kind in _ALL_LAYERS:
        size = config.get("sliding_window", _ALL_LAYERS[kind])
    elif kind in _SOME_LAYERS and (kind not in _ON_REQUEST or config.get("use_sliding_window", False)):
        size = config.get("sliding_window", _SOME_LAYERS[kind])
    else:
        return None
    if not isinstance(size, int) or size >= (context(config) or size + 1):
        return None
    return size if SLIDING in layer_types(config) else None


_MOST_LAYERS = 10_000  # a config.json that names more is damaged, and a list of them would fill the memory


def layer_types(config: Config) -> list[str]:
    """The kind of every layer: SLIDING or FULL. Of a config.json that does not name the number of layers, the first 32."""
    kind = fields.text(config, "model_type")
    layers = min(_or(fields.integer(config, "num_hidden_layers"), 32), _MOST_LAYERS)
    if kind in _ALL_LAYERS:
        return [FULL if config.get("sliding_window", _ALL_LAYERS[kind]) is None else SLIDING] * layers
    if kind not in _SOME_LAYERS:
        return [FULL] * layers
    if isinstance(config.get("layer_types"), list):
        return list(fields.texts(config, "layer_types"))
    return [SLIDING if _slides(config, kind, layer) else FULL for layer in range(layers)]


def _slides(config: Config, kind: str, layer: int) -> bool:
    """Whether a layer has the window where config.json does not name the layers' kinds."""
    if kind in ("gemma2", "gpt_oss"):
        return layer % 2 == 0
    if kind == "gemma3_text":
        return bool((layer + 1) % _or(fields.integer(config, "sliding_window_pattern"), 6))
    if kind == "ministral":
        return config.get("sliding_window", _SOME_LAYERS[kind]) is not None
    if not config.get("use_sliding_window", False) or config.get("sliding_window", _SOME_LAYERS[kind]) is None:
        return False
    if kind == "smollm3":  # those without rotary embeddings
        rotated = config.get("no_rope_layers")
        every = _or(fields.integer(config, "no_rope_layer_interval"), 4)
        return not (rotated[layer] if isinstance(rotated, list) and rotated else (layer + 1) % every)
    return layer >= _or(fields.integer(config, "max_window_layers"), 28)


def _or(size: int | None, default: int) -> int:
    return default if size is None else size


def context(config: Config) -> int | None:
    """How many tokens the model is made for; None where config.json does not name it."""
    return fields.integer(config, "max_position_embeddings")


def nested(config: Config) -> bool:
    """Whether the kinds of layers have rotary embeddings of their own (rope_parameters of transformers 5)."""
    return any(isinstance(value, Mapping) for value in _rope(config).values())


def scaling(config: Config) -> Scaling:
    """How the rotary embeddings are scaled, by either spelling; a factor of 1 scales nothing.

    rope_scaling with `type` or `rope_type` is what most checkpoints have; transformers 5 writes rope_parameters, the base within.
    Of an original length that is named twice the outer one holds (standardize_rope_params in modeling_rope_utils.py).
    """
    rope = _rope(config)
    kind = rope_kind(rope)
    if config.get("model_type") == "phi3" and kind in ("su", "yarn"):
        kind = "longrope"  # Phi3Config.convert_rope_params_to_dict
    if kind == "default" or (
        kind in ("linear", "dynamic", "yarn", "llama3") and rope.get("factor") == 1 and not rope.get("attention_factor")
    ):
        return Scaling("default")
    return Scaling(kind)


def original_context(config: Config) -> int | None:
    """The length up to which rotary embeddings are not those of a longer context, for kinds that name it; else the context."""
    outer = config.get("original_max_position_embeddings", 4096 if config.get("model_type") == "phi3" else None)
    inner = _rope(config).get("original_max_position_embeddings")
    return next((size for size in (outer, inner) if isinstance(size, int)), context(config))


def recomputed_at(config: Config) -> int | None:
    """The length at which the model's own code throws away what it has of the tokens before; None if it never does.

    A Phi-3 with longrope has other embeddings beyond its original length, for all of its tokens (prepare_inputs_for_generation in
    modeling_phi3.py and modeling_phimoe.py, 5.5). Other models keep what they have.
    """
    original, size = original_context(config), context(config)
    if config.get("model_type") not in ("phi3", "phimoe") or scaling(config).kind != "longrope" or original is None:
        return None
    return original if size is None or original < size else None


def head_size(config: Config) -> int | None:
    """How many numbers a head of the attention has; None where config.json does not name it."""
    named, hidden, heads = (fields.integer(config, name) for name in ("head_dim", "hidden_size", "num_attention_heads"))
    return named if named else hidden // heads if hidden and heads else None


def rotated(config: Config) -> int | None:
    """How many numbers of a head are rotated; None where config.json does not name how large that is."""
    size, kind = head_size(config), fields.text(config, "model_type")
    if size is None or kind not in PARTLY_ROTATED:
        return size
    parts = (fields.number(one, "partial_rotary_factor") for one in (_rope(config), config))
    return int(size * next((part for part in parts if part), PARTLY_ROTATED[kind]))


def _rope(config: Config) -> Config:
    """rope_scaling, or rope_parameters where that is null or absent."""
    for name in ("rope_scaling", "rope_parameters"):
        if rope := fields.nested(config, name):
            return rope
    return {}
