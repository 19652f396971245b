"""What a build makes, in a few words for tables."""

from __future__ import annotations

from bakehouse.recipe.kinds import BuildOptions

# The options by which people distinguish builds of a model, in the usual order; the rest is in `recipe.yaml` and the plan.
_DISTINGUISHING = (
    "weights", "symmetric", "group_size", "block_size", "ratio", "algorithm", "all_layers", "awq", "scale_estimation", "gptq",
    "lora_correction", "execution_provider", "platforms",
)  # fmt: skip
# Shown only if they differ from the default.
_CHANGED = ("torch_dtype", "max_prompt_len", "min_response_len", "prefill_hint", "generate_hint", "cache_mode")
_WORDS = {"symmetric": ("asym", "sym"), "all_layers": ("", "all layers"), "lora_correction": ("", "lora")}
_SHORT = {"group_size": "g", "ratio": "r", "block_size": "b", "max_prompt_len": "prompt ", "min_response_len": "answer "}


def brief(options: BuildOptions) -> str:
    """What is made, in a few words: "openvino int4 sym g128 r0.6"."""
    written = options.quantization.model_dump().keys()  # without options that have no meaning at their defaults
    values = {**dict(options), **{name: value for name, value in options.quantization if name in written}}
    fields = type(options).model_fields
    changed = [name for name in _CHANGED if name in fields and values[name] != fields[name].default]
    words = (_word(name, values[name]) for name in (*_DISTINGUISHING, *changed) if name in values)
    return " ".join((options.runtime, *(word for word in words if word)))


def _word(name: str, value: object) -> str:
    match value:
        case bool():
            return _WORDS.get(name, ("", name))[value]
        case int() | float():
            return "channel-wise" if value == -1 else f"{_SHORT[name]}{value:g}"
        case str():
            return "" if value == "default" else value
        case tuple():
            return ",".join(map(str, value))
        case _:
            return ""
