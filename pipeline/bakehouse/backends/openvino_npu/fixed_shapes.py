"""Which models OpenVINO's NPU pipeline computes wrongly, or not at all, in its graphs of fixed shape: from config.json, before the work.

NPUW 2026.4.1 rewrites the masks of sliding windows by pattern (npuw_transformations of its sources), and takes prompts in chunks when
the hint is DYNAMIC and the longest prompt has more than one (NPUW_LLM_PREFILL_CHUNK_SIZE in llm_compiled_model.cpp). Its logits on a CPU
were compared with transformers' on random checkpoints of eight layers, for prompts and answers on both sides of the window, in both ways.
What is not known here is found when a build is validated (workers/logits.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bakehouse.backends.openvino_npu.options import OpenVINONpu
from bakehouse.formats import fields
from bakehouse.formats.config_json import Config
from bakehouse.tasks.text_generation.workers import positions
from bakehouse.tasks.text_generation.workers.positions import FULL, SLIDING

CHUNK = 1024  # tokens: the default of NPUW_LLM_PREFILL_CHUNK_SIZE
# Whose prompt graph does not compile in one piece: the shapes of the rewritten mask do not fit. With phi3, qwen3 and cohere2 they do.
_ONLY_IN_CHUNKS = frozenset({"mistral", "mixtral", "phimoe", "qwen2", "qwen2_moe", "qwen3_moe", "smollm3", "starcoder2"})
# Model types that positions does not read: a window for all layers if config.json has one, or layers of both kinds.
_ALL_LAYERS = frozenset({"mixtral", "phimoe", "qwen3_moe", "starcoder2"})
_WINDOWS: Mapping[str, int] = {"cohere2": 4096, "qwen2_moe": 4096}
_ON_REQUEST = ("qwen2_moe", "qwen3_moe")  # only with use_sliding_window
_BOTH_KINDS = ("longrope", "dynamic")  # rotary embeddings that depend on the length of what is computed at once


def reasons(config: Config, build: OpenVINONpu) -> Iterator[str]:
    """Sentences, one for each reason why the graphs of these lengths would not be the model of this config.json."""
    chunked = build.prefill_hint == "DYNAMIC" and build.max_prompt_len > CHUNK
    kinds, window = layers(config)
    kind = str(config.get("model_type"))
    differs = {SLIDING, FULL} <= set(kinds) and window < build.room()
    at_once = kind not in _ONLY_IN_CHUNKS
    if SLIDING in kinds and not chunked and not at_once:
        remedy = (
            "the NPU has no other way for a model whose layers differ; build it for the runtime openvino"
            if differs
            else f"take it in chunks: prefill_hint DYNAMIC and max_prompt_len above {CHUNK:,}"
        )
        yield f"the NPU pipeline cannot compile a {kind} with a sliding window for a prompt that is taken at once; {remedy}"
    if chunked and differs:
        remedy = f"prefill_hint STATIC or max_prompt_len of at most {CHUNK:,} takes them at once" if at_once else "use the runtime openvino"
        yield (
            f"the NPU pipeline takes prompts in chunks of {CHUNK:,} tokens, and computes something else beyond the sliding window of "
            f"{window:,} tokens where only some layers have it; {remedy}"
        )
    scaling, original = positions.scaling(config).kind, positions.original_context(config)
    if chunked and scaling in _BOTH_KINDS and original is not None and build.max_prompt_len > original:
        yield (
            f"the NPU pipeline takes prompts in chunks of {CHUNK:,} tokens, and computes something else beyond {original:,} tokens with "
            f"rotary embeddings scaled by {scaling}; prefill_hint STATIC or max_prompt_len of at most {original:,} avoids it"
        )


def layers(config: Config) -> tuple[tuple[str, ...], int]:
    """The kinds of layers, SLIDING and FULL, and the window in tokens; a window that the context never fills is in the graph as well."""
    kind, named = str(config.get("model_type")), config.get("layer_types")
    window = fields.integer(config, "sliding_window") if "sliding_window" in config else _WINDOWS.get(kind, 4096)
    unused = kind in _ON_REQUEST and not config.get("use_sliding_window", False)
    if not window or unused or (kind in _ALL_LAYERS and "sliding_window" not in config):
        return (FULL,), 0
    if kind in _ALL_LAYERS:
        return (SLIDING,), window
    if kind not in _WINDOWS:
        return tuple(dict.fromkeys(positions.layer_types(config))), window
    return tuple(dict.fromkeys(named)) if isinstance(named, list) else (SLIDING, FULL), window
