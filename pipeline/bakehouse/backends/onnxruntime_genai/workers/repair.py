"""Has the model builder make what transformers computes, where by itself it makes something else: see `plan` for the rules."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from bakehouse.backends.onnxruntime_genai.seams import Changes
from bakehouse.backends.onnxruntime_genai.workers.plan import ALIKE, Plan
from bakehouse.tasks.text_generation.workers import positions

# What the builder reads of any configuration (builders/base.py, ernie.py) and transformers only of those whose class declares it:
# left over in a config.json, these change or break the graph (measured on a Llama with each).
_READ = (
    "attn_logit_softcapping",
    "compression_ratio",
    "ffn_hidden_size",
    "final_logit_softcapping",
    "hidden_activation",
    "layer_types",
    "moe_intermediate_size",
    "multi_query_group_num",
    "rope_position_scale",
    "seq_length",
    "sliding_window",
)
# Where the number is that the builder takes from rms_norm_eps, or else as 1e-06; OlmoLayerNorm has 1e-5 in its code.
_EPSILON = {"nemotron": "norm_eps", "olmo": "", "phi": "layer_norm_eps"}


@contextmanager
def applied(config: Any, plan: Plan) -> Iterator[Changes]:
    """Change the configuration that the builder was given, and the builder's classes while the body runs; what was changed, by name."""
    with ExitStack() as stack:
        yield _name(config) | _bases(config) | _fields(config, plan) | _norms(config, stack) | _rope(config, plan, stack)


def _put(stack: ExitStack, owner: type, name: str, value: Any) -> None:
    """Set an attribute of a class until the stack is unwound."""
    stack.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)


def _name(config: Any) -> Changes:
    """The name under which the builder knows what the architecture computes."""
    (name,) = config.architectures
    if name not in ALIKE:
        return {}
    config.architectures = [ALIKE[name]]
    return {"architectures": f"built as {ALIKE[name]}, which computes the same"}


def _bases(config: Any) -> Changes:
    """What the builder's Gemma 3 reads: the bases of both kinds of layers in the fields that transformers 4 had."""
    if config.model_type != "gemma3_text":
        return {}
    both = config.rope_parameters
    config.rope_local_base_freq = both[positions.SLIDING]["rope_theta"]
    config.rope_parameters = dict(both[positions.FULL])
    return {"rope_local_base_freq": config.rope_local_base_freq}


def _fields(config: Any, plan: Plan) -> Changes:
    """Take out what transformers does not read, and name the layers."""
    done: Changes = {}
    declared = set(type(config).__dataclass_fields__)
    for name in _READ:
        if name not in declared and vars(config).get(name) is not None:  # a property is the class's own
            delattr(config, name)
            done[name] = "left out: transformers does not read it"
    if plan.layer_types is not None:
        if getattr(config, "layer_types", None) != list(plan.layer_types):
            config.layer_types = list(plan.layer_types)
            done["layer_types"] = "named for the builder"
    elif getattr(config, "sliding_window", None) is not None:
        config.sliding_window = None
        done["sliding_window"] = "left out: no layer has it within the context"
    return done


def _norms(config: Any, stack: ExitStack) -> Changes:
    """Epsilon, the kind of norm, and offsets that are added in float32 as transformers does."""
    from builders import base, gemma, olmo

    done: Changes = {}
    if config.model_type in _EPSILON:
        config.rms_norm_eps = getattr(config, _EPSILON[config.model_type], 1e-5)
        done["rms_norm_eps"] = config.rms_norm_eps
    if config.model_type == "olmo":
        init = _then(olmo.OLMoModel.__init__, lambda builder: builder.layernorm_attrs.update(simple=False))
        _put(stack, olmo.OLMoModel, "__init__", init)
        done["norms"] = "layer norms, not RMS norms"
    exact = _then(gemma.GemmaModel.__init__, lambda builder: builder.embed_attrs.update(scale=builder.hidden_size**0.5))
    _put(stack, gemma.GemmaModel, "__init__", exact)  # rounded to two decimals by the builder
    _put(stack, base.Model, "make_layernorm", _in_float(base.Model.make_layernorm))
    return done


def _then(init: Callable[..., None], change: Callable[[Any], None]) -> Callable[..., None]:
    """An __init__ with a change after it."""

    def changed(builder: Any, *args: Any, **words: Any) -> None:
        init(builder, *args, **words)
        change(builder)

    return changed


def _in_float(make: Callable[..., None]) -> Callable[..., None]:
    """make_layernorm that adds its offset (1 for Gemma and Nemotron) to float32 weights: in bfloat16 the sum loses up to 0.4 %."""

    def made(builder: Any, layer_id: int, layernorm: Any, *args: Any, **words: Any) -> None:
        if builder.layernorm_attrs["add_offset"]:
            layernorm.weight.data = layernorm.weight.data.float()
        make(builder, layer_id, layernorm, *args, **words)

    return made


def _rope(config: Any, plan: Plan, stack: ExitStack) -> Changes:
    """Rotary embeddings as the plan says."""
    from builders import base

    done: Changes = {}
    parameters = getattr(config, "rope_parameters", None) or {}
    if config.model_type not in positions.PARTLY_ROTATED:
        parameters.pop("partial_rotary_factor", None)
        if getattr(config, "partial_rotary_factor", 1.0) != 1.0:
            config.partial_rotary_factor = 1.0
            done["partial_rotary_factor"] = "left out: transformers does not read it"
    if plan.rotated_before:
        for name in ("is_fused_rope_supported", "is_packed_matmul_supported"):  # what rotates takes queries and keys by themselves
            _put(stack, base.Model, name, lambda builder: False)
        done["rotary_embeddings"] = "before the attention, which rotates multiples of 16 numbers only"
    kind = parameters.get("rope_type", "default")
    if plan.rope == "own":
        return done | (_two_caches(config) if kind == "longrope" else {})
    if plan.rope == "exact":
        frequencies, factor = _scaled(config, kind)
        _put(stack, base.Model, "make_rotary_embedding_caches_from_scratch", _caches(frequencies, factor))
        done["rope"] = f"{kind}, with transformers' frequencies"
    elif kind != "default":
        done["rope"] = f"not scaled: within the context {kind} does not"
    plain = {name: parameters[name] for name in ("rope_theta", "partial_rotary_factor") if name in parameters}
    config.rope_parameters = {**plain, "rope_type": "default"}
    if config.model_type == "phi3" and config.original_max_position_embeddings != config.max_position_embeddings:
        # The builder chooses between its two kinds of Phi-3 by these two lengths.
        config.original_max_position_embeddings = config.max_position_embeddings
        done["original_max_position_embeddings"] = "as long as the context: the graph has one set of rotary embeddings"
    return done


def _two_caches(config: Any) -> Changes:
    """What Phi3MiniLongRoPEModel reads: the older word, and the embeddings' factor where the configuration names it or what it comes of."""
    done: Changes = {}
    parameters = config.rope_parameters
    parameters.setdefault("type", "longrope")
    for name in ("short_mscale", "long_mscale"):
        parameters.pop(name, None)  # transformers reads them of a PhiMoE only
        if parameters.get("attention_factor") is not None or parameters.get("factor") is not None:
            parameters[name] = done[name] = _scaled(config, "longrope")[1]
    return done


def _scaled(config: Any, kind: str) -> tuple[Any, float]:
    """transformers' own frequencies and factor of the embeddings, for lengths within the original context."""
    import torch
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    frequencies, factor = ROPE_INIT_FUNCTIONS[kind](copy.deepcopy(config), torch.device("cpu"))
    return frequencies, float(factor)


def _caches(frequencies: Any, factor: float) -> Callable[[Any], tuple[Any, Any]]:
    """make_rotary_embedding_caches_from_scratch with other frequencies."""
    import torch

    def made(builder: Any) -> tuple[Any, Any]:
        angles = torch.outer(torch.arange(builder.rope_attrs["cache_length"], dtype=torch.int64).type_as(frequencies), frequencies)
        both = torch.cat((angles, angles), dim=-1)
        return both.cos() * factor, both.sin() * factor

    return made
