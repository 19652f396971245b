"""Has a transformers model compute the same for an input whatever came before it, and by the fields that its own class reads."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

# What DynamicCache makes of any configuration (transformers 5.5, cache_utils.py): which layers keep a window of keys only, and how long.
_OF_THE_CACHE = ("attention_chunk_size", "layer_types", "num_kv_shared_layers", "sliding_window")
_RESTART = frozenset({"phi3", "phimoe"})


def forget_left_over(config: Any) -> list[str]:
    """Take out of a configuration what its class does not have and generate's cache would heed; the names of what was taken out.

    A Llama with a left-over `sliding_window` attends to all tokens when they come at once, and from the cache to those of the window
    only. A class of a repository's own code is left as it is.
    """
    text = config.get_text_config(decoder=True)
    present = [name for name in _OF_THE_CACHE if name in vars(text)]
    if not present or type(text).__module__.startswith("transformers_modules"):
        return []
    own = type(text)()
    found = [name for name in present if not hasattr(own, name)]
    for name in found:
        delattr(text, name)
    return found


def compute_anew(model: Any) -> None:
    """Have generate give a Phi-3 all its tokens again where the model throws away what it has of them, as it is meant to.

    Phi3ForCausalLM and PhimoeForCausalLM do so where an answer passes the original context; transformers 5.5 by then has left them the
    last token only, so they go on without any context (next_sequence_length in generation/utils.py, `_sample`).
    """
    length = getattr(model.config, "original_max_position_embeddings", None)
    if model.config.model_type not in _RESTART or length is None:
        return
    prepare = model.prepare_inputs_for_generation

    @functools.wraps(prepare)
    def prepared(input_ids: Any, past_key_values: Any = None, **named: Any) -> Any:
        if past_key_values is not None and past_key_values.get_seq_length() <= length < input_ids.shape[1]:
            past_key_values, named = None, named | {"next_sequence_length": None, "position_ids": None}
        return prepare(input_ids, past_key_values=past_key_values, **named)

    model.prepare_inputs_for_generation = prepared


def alone(model: Any, use: Callable[..., Any]) -> Callable[..., Any]:
    """`use` on the model as it is now, whatever inputs it has had in the meantime.

    Rotary embeddings of kind `dynamic` keep the frequencies of the longest input so far and use them for shorter ones: the update in
    transformers 5.5 writes a length under another name than it reads (dynamic_frequency_update in modeling_rope_utils.py). So all
    modules without weights are put back first.
    """
    kept = [
        (module, dict(vars(module)), dict(module._buffers))
        for module in model.modules()
        if not any(True for _ in module.parameters()) and not any(True for _ in module.children())
    ]

    def used(*given: Any) -> Any:
        for module, attributes, buffers in kept:
            vars(module).clear()
            vars(module).update(attributes)
            module._buffers.clear()
            module._buffers.update(buffers)
        return use(*given)

    return used
