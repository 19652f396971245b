"""The configuration of the model in a GGUF: what transformers reads of it, and what its reader leaves to defaults of its own.

A default of transformers is the family's best known model, not the file's: the size of a head, the sliding window, the part of a head that
rotary embeddings cover, how attention is scaled. Each is set here to what the file says, or to what llama.cpp takes without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from bakehouse.child import events
from bakehouse.formats.gguf_faults import ANOTHER_SOURCE, head_size, own_keys
from bakehouse.formats.gguf_header import Metadata

Tensors = Mapping[str, Any]  # the small tensors of a file that describe the model and are not among its weights, in float32

FREQUENCIES, LONG, SHORT = "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"
DESCRIBING = (FREQUENCIES, LONG, SHORT)
_THETA = 10000.0  # llama.cpp's, where a file names none
# Llama 3.1 and later: the only values in use but for the factor (transformers, modeling_rope_utils._compute_llama3_parameters).
_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


def complete(config: Any, metadata: Metadata, tensors: Tensors) -> None:
    """Set what the reader leaves out in `config`; refuses tensors that describe the model in a way that is not known."""
    own, architecture = own_keys(metadata), metadata["general.architecture"]
    config.num_key_value_heads = own.get("attention.head_count_kv", own["attention.head_count"])
    if hasattr(config, "head_dim"):
        config.head_dim = head_size(own)
    used = _ADJUST.get(architecture, _nothing)(config, own, tensors)
    if left := sorted(set(tensors) - set(used)):
        lost = [f"{name} (frequencies of the rotary embedding)" for name in left]
        events.refuse("The GGUF says things about the model that its reader leaves out.", ANOTHER_SOURCE, lost)


def _nothing(config: Any, own: Metadata, tensors: Tensors) -> tuple[str, ...]:
    return ()


def _llama(config: Any, own: Metadata, tensors: Tensors) -> tuple[str, ...]:
    """Llama 3.1 and later scale the rotary embedding; a GGUF has the factor of each frequency, which shows the model's own numbers."""
    if FREQUENCIES not in tensors:
        return ()
    import numpy

    factors, theta = tensors[FREQUENCIES], own.get("rope.freq_base", _THETA)
    factor = shortest(factors.max())
    if not numpy.allclose(_llama3_factors(factor, theta, head_size(own)), factors, rtol=1e-5):
        return ()
    config.rope_parameters = {"rope_type": "llama3", "rope_theta": theta, "factor": factor, **_LLAMA3}
    return (FREQUENCIES,)


def _llama3_factors(factor: float, theta: float, head: int) -> Any:
    """By how much each frequency of the rotary embedding is divided: long waves by the factor, short ones not, those between in part."""
    import numpy

    low, high, context = (float(_LLAMA3[name]) for name in _LLAMA3)
    wave = 2 * numpy.pi * theta ** (numpy.arange(0, head, 2, dtype=numpy.float64) / head)
    smooth = ((context / wave - low) / (high - low)).clip(0, 1)
    return 1 / ((1 - smooth) / factor + smooth)


def _gemma2(config: Any, own: Metadata, tensors: Tensors) -> tuple[str, ...]:
    config.attn_logit_softcapping = own.get("attn_logit_softcapping", 50.0)
    config.final_logit_softcapping = own.get("final_logit_softcapping", 30.0)
    config.query_pre_attn_scalar = _scalar(own, largest=46)
    return ()


def _gemma3(config: Any, own: Metadata, tensors: Tensors) -> tuple[str, ...]:
    whole = {"rope_type": "default", "rope_theta": own.get("rope.freq_base", 1_000_000.0)}
    if own.get("rope.scaling.type") == "linear":
        whole |= {"rope_type": "linear", "factor": own["rope.scaling.factor"]}
    near = {"rope_type": "default", "rope_theta": own.get("rope.freq_base_swa", _THETA)}
    config.rope_parameters = {"full_attention": whole, "sliding_attention": near}
    config.query_pre_attn_scalar = _scalar(own, largest=62)
    return ()


def _scalar(own: Metadata, largest: int) -> int:
    """The square of what queries are divided by, which a GGUF does not name: a head's size, but in the family's largest model.

    llama.cpp tells that one by its number of layers (src/models/gemma2.cpp, gemma3.cpp: LLM_TYPE_27B).
    """
    share: int = own["embedding_length"] // own["attention.head_count"]
    return share if own["block_count"] == largest else head_size(own)


def _phi3(config: Any, own: Metadata, tensors: Tensors) -> tuple[str, ...]:
    config.sliding_window = own.get("attention.sliding_window") or None
    config.original_max_position_embeddings = own.get("rope.scaling.original_context_length", config.max_position_embeddings)
    head = head_size(own)
    part = own.get("rope.dimension_count", head) / head
    rope = {"rope_type": "default", "rope_theta": own.get("rope.freq_base", _THETA), "partial_rotary_factor": part}
    used = (LONG, SHORT) if {LONG, SHORT} <= set(tensors) else ()
    _refuse_attention_factor(config, own.get("rope.scaling.attn_factor"), scaled=bool(used))
    if used:
        factors = {"long_factor": LONG, "short_factor": SHORT}
        rope |= {"rope_type": "longrope"} | {name: [shortest(value) for value in tensors[of]] for name, of in factors.items()}
        rope["original_max_position_embeddings"] = config.original_max_position_embeddings
    config.rope_parameters = rope
    return used


def _refuse_attention_factor(config: Any, factor: float | None, *, scaled: bool) -> None:
    """End here if the file scales attention otherwise than transformers derives it from the lengths of the texts."""
    ratio, original = config.max_position_embeddings / config.original_max_position_embeddings, config.original_max_position_embeddings
    derived = math.sqrt(1 + math.log(ratio) / math.log(original)) if scaled and ratio > 1 else 1.0
    if factor is not None and not math.isclose(factor, derived, rel_tol=1e-4):
        what = "The GGUF scales attention by another factor than follows from the lengths of its texts."
        events.refuse(what, ANOTHER_SOURCE, [f"phi3.rope.scaling.attn_factor = {shortest(factor)}, and {derived:.6g} follows"])


_ADJUST: Mapping[str, Callable[[Any, Metadata, Tensors], tuple[str, ...]]] = {
    "llama": _llama,
    "gemma2": _gemma2,
    "gemma3": _gemma3,
    "phi3": _phi3,
}


def shortest(number: float) -> float:
    """The shortest decimal that is the same in float32, which is what a GGUF holds: 1e-05 for 9.999999747378752e-06."""
    import numpy

    return float(str(numpy.float32(number)))
