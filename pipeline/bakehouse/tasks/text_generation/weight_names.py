"""Which weights a checkpoint of a well-known architecture has, by name: compared before anything is downloaded.

The names are those of the classes' state dicts in transformers 5.5 (a test compares them). Architectures not listed are judged by the
worker that loads them (tasks/workers/completeness.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bakehouse.child.names import some
from bakehouse.formats import fields
from bakehouse.formats.config_json import Config

_QKV = ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight")
_ATTENTION = (*_QKV, "self_attn.o_proj.weight")
_MLP = ("mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight")
_NORMS = ("input_layernorm.weight", "post_attention_layernorm.weight")
_LLAMA = (*_ATTENTION, *_MLP, *_NORMS)
_BIASES = tuple(name.replace(".weight", ".bias") for name in _QKV)
_QK_NORMS = ("self_attn.q_norm.weight", "self_attn.k_norm.weight")
# What each layer has, by model type.
LAYERS: Mapping[str, tuple[str, ...]] = {
    "gemma": _LLAMA,
    "gemma2": (*_LLAMA, "pre_feedforward_layernorm.weight", "post_feedforward_layernorm.weight"),
    "granite": _LLAMA,
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "olmo": (*_ATTENTION, *_MLP),
    "olmo2": (*_ATTENTION, *_MLP, *_QK_NORMS, "post_attention_layernorm.weight", "post_feedforward_layernorm.weight"),
    "phi3": ("self_attn.qkv_proj.weight", "self_attn.o_proj.weight", "mlp.gate_up_proj.weight", "mlp.down_proj.weight", *_NORMS),
    "qwen2": (*_LLAMA, *_BIASES),
    "qwen3": (*_LLAMA, *_QK_NORMS),
    "smollm3": _LLAMA,
}
EMBEDDING, HEAD, NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"
# Model types whose configuration ties the embeddings unless config.json says otherwise (a test compares them with transformers).
TIED_BY_DEFAULT = frozenset({"ernie4_5", "gemma", "gemma2", "gemma3_text", "lfm2", "lfm2_moe", "smollm3"})
_NO_FINAL_NORM = ("olmo",)  # its norms have no weights
# Whose configuration may ask for biases; others have such a field and do not heed it, or do not have it.
_MOST_LAYERS = 10_000  # a config.json that says more is damaged, and names for all of them would fill the memory
_ATTENTION_BIAS = ("gemma", "gemma2", "granite", "llama", "olmo", "olmo2", "qwen3", "smollm3")
_MLP_BIAS = ("granite", "llama", "smollm3")
# NotChecked over from older releases, and computed from config.json now; transformers leaves them out as well.
_COMPUTED = re.compile(r"rotary_emb\.inv_freq")


def ties(config: Config) -> bool:
    """Whether a config.json, as transformers reads it, makes embedding and last MatMul one matrix."""
    return bool(config.get("tie_word_embeddings", fields.text(config, "model_type") in TIED_BY_DEFAULT))


def expected(config: Config) -> frozenset[str] | None:
    """The names of all weights that the model of a config.json needs, the head of a tied one left out; None where that is not known."""
    kind, layers = fields.text(config, "model_type"), fields.integer(config, "num_hidden_layers")
    if kind not in LAYERS or layers is None or layers > _MOST_LAYERS:
        return None
    names = list(LAYERS[kind])
    if config.get("attention_bias") and kind in _ATTENTION_BIAS:
        names += [name.replace(".weight", ".bias") for name in names if name in _ATTENTION]
    if config.get("mlp_bias") and kind in _MLP_BIAS:
        names += [name.replace(".weight", ".bias") for name in names if name in _MLP]
    names_of_all = {f"model.layers.{number}.{name}" for number in range(layers) for name in names}
    names_of_all |= {EMBEDDING} | (set() if kind in _NO_FINAL_NORM else {NORM}) | (set() if ties(config) else {HEAD})
    return frozenset(names_of_all)


def normal(name: str) -> str:
    """A weight's name in the model with a head; a base model saved alone has its weights without `model.` before them."""
    return f"model.{name}" if name.startswith(("layers.", "embed_tokens.", "norm.")) else name


def differences(config: Config, names: Iterable[str]) -> tuple[str, ...]:
    """Sentences: the weights that a checkpoint lacks, and those that its architecture has no place for; none where that is not known."""
    wanted = expected(config)
    if (layers := fields.integer(config, "num_hidden_layers") or 0) > _MOST_LAYERS:
        return (f"config.json says that the model has {layers:,} layers, and no model has more than {_MOST_LAYERS:,}",)
    if wanted is None:
        return ()
    found = {normal(name): name for name in names}
    missing = sorted(wanted - found.keys())
    if ties(config) and EMBEDDING in missing and HEAD in found:
        missing.remove(EMBEDDING)  # transformers ties the other way round (5.5, tie_weights)
    strange = sorted(found[name] for name in found.keys() - wanted - {HEAD} if not _COMPUTED.search(name))
    sentences = []
    if missing:
        sentences.append(f"the checkpoint lacks weights of its architecture, which would become random numbers: {some(missing)}")
    if strange:
        sentences.append(f"the checkpoint has weights that its architecture has no place for: {some(strange)}")
    return tuple(sentences)
