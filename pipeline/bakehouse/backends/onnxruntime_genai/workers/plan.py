"""What the model builder of onnxruntime-genai 0.18.0 makes otherwise than transformers computes it, and what is done about it.

Known from config.json before the work. What the builder reads is in its builders/base.py and the module of each architecture; what
is right is transformers 5.5's modeling code. Every rule was measured: float32 logits of the model against transformers' on tiny
checkpoints with random weights (tests/backends/onnxruntime_genai/test_positions.py repeats that).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from bakehouse.backends.onnxruntime_genai.quantization import OrtQuantization, Provider
from bakehouse.formats import fields
from bakehouse.formats.config_json import Config
from bakehouse.tasks.text_generation.workers import positions

# LlamaModel.make_rope_init knows llama3 and passes over every other kind in silence; nemotron.py and smollm.py inherit it.
_LLAMAS = frozenset({"llama", "nemotron", "smollm3"})
# What the runtime does with GroupQueryAttention's local_window_size is the provider's: DirectML's kernel does not read it
# (DmlOperatorGroupQueryAttention.cpp), so on a GPU every token sees all before it.
_WINDOWLESS = frozenset({"dml"})
# Rotated within the attention only (smollm.py), and always by an operator before it (hunyuan.py).
_ONE_WAY = frozenset({"smollm3", "hunyuan_v1_dense"})
_RECOMPUTES_AT, _KEEPS = 4096, frozenset({"dml", "NvTensorRtRtx"})
# Architectures that compute what another does, which the builder knows, from weights of the same names (transformers 5.5's modeling code).
ALIKE: Mapping[str, str] = {"MinistralForCausalLM": "MistralForCausalLM", "SeedOssForCausalLM": "LlamaForCausalLM"}
# How `repair` has norms made; of Gemma also the scale of the embedding, which the builder rounds to two decimals.
_NORMS = {
    "gemma": "with norms and the embedding's scale in float32",
    "gemma2": "with norms and the embedding's scale in float32",
    "gemma3_text": "with norms and the embedding's scale in float32, and the bases of both kinds of layers in the older fields",
    "nemotron": "with norms in float32 and the source's norm_eps",
    "olmo": "with layer norms in place of RMS norms, epsilon 1e-5",
    "phi": "with the source's layer_norm_eps",
}


class Target(Protocol):
    """What a model is made for, and its precision: the options of a build, or the spec of a step."""

    @property
    def execution_provider(self) -> Provider: ...

    @property
    def quantization(self) -> OrtQuantization: ...


@dataclass(frozen=True)
class Plan:
    """How one build is to differ from what the builder would do by itself.

    Attributes:
        words: further extra options for the builder.
        layer_types: the kinds of the layers, which the builder takes as full attention where they are not named; None to leave them.
        rope: "own" leaves rotary embeddings to the builder; "plain" has them not scaled; "exact" takes transformers' frequencies.
        context: how many tokens the model is made for; None where config.json does not say.
        by_hand: what someone who runs the builder has to change besides its options, in a few words each.
        rotated_before: whether rotary embeddings are to be an operator before the attention, where the builder has the attention rotate.
        cut_from: what config.json says, where `context` is less.
        cut_reason: why it is less, as a sentence; "" where it is not.
    """

    words: tuple[str, ...]
    layer_types: tuple[str, ...] | None
    rope: str
    context: int | None
    by_hand: tuple[str, ...] = ()
    rotated_before: bool = False
    cut_from: int | None = None
    cut_reason: str = ""


def plan(config: Config, target: Target) -> Plan:
    """The plan for a config.json and what is to be made of it."""
    window, context = positions.window(config), positions.context(config)
    rope = _rope(config)
    # Without this word the KV cache of these layers is a ring of the window's size: right too, but it refuses every max_length below
    # the window ("KV cache capacity (20) must be at least local_window_size (64)"), and a rewind, and only cpu, cuda and trt-rtx have it.
    words = () if window is None else ("windowed_kv_cache=false",)
    named = None if window is None else tuple(positions.layer_types(config))
    before = rotated_before(config, target)
    by_hand = _by_hand(config, named, rope, before)
    limits: list[tuple[int, str]] = []
    if window is not None and target.execution_provider in _WINDOWLESS:
        limits.append((window, "DirectML's attention does not know the model's sliding window: beyond it answers are not the source's."))
    original = positions.original_context(config)
    if rope == "exact" and positions.scaling(config).kind == "longrope" and original is not None:
        limits.append((original, "The graph has one set of rotary embeddings, and the source has another one beyond this length."))
    size, reason = min(limits, default=(context, ""), key=lambda limit: limit[0] or 0)
    if context is None or size is None or size >= context:
        return Plan(words, named, rope, context, by_hand, before)
    return Plan(words, named, rope, size, by_hand, before, context, reason)


def rotated_before(config: Config, target: Target) -> bool:
    """Whether the attention that the builder would have rotate cannot rotate what this model rotates of a head.

    GroupQueryAttention rotates multiples of 16 numbers only ("cos_cache dimension 1 must be <= head_size / 2 and a multiple of 8",
    onnxruntime 1.31.1, group_query_attention_helper.h), RotaryEmbedding any number.
    """
    size = positions.rotated(config)
    return size is not None and size % 16 != 0 and config.get("model_type") not in _ONE_WAY and rotates_within(target)


def rotates_within(target: Target) -> bool:
    """Whether the builder has GroupQueryAttention rotate: not for DirectML, and in float32 CUDA has another operator (base.py)."""
    provider = target.execution_provider
    return provider != "dml" and not (provider == "cuda" and target.quantization.weights == "fp32")


def kept_beyond(config: Config, target: Target) -> int | None:
    """The length beyond which the runtime goes on with keys that transformers computes anew; None if they do the same.

    onnxruntime-genai 0.18.0 computes anew as well, at this one length whatever config.json says, and not on DirectML and TensorRT
    (Generator::GenerateNextToken in src/generators.cpp). A context that is cut there is never passed.
    """
    length, end = positions.recomputed_at(config), plan(config, target).context
    does = config.get("model_type") == "phi3" and length == _RECOMPUTES_AT and target.execution_provider not in _KEEPS
    return None if length is None or does or (end is not None and end <= length) else length


def _by_hand(config: Config, named: tuple[str, ...] | None, rope: str, before: bool) -> tuple[str, ...]:
    kind = positions.scaling(config).kind
    layers = ("with layer_types named in config.json",) if named and config.get("layer_types") != list(named) else ()
    scaled = {"exact": f"with transformers' frequencies for {kind}", "plain": f"without {kind}"}.get(rope, "")
    norms = _NORMS.get(str(config.get("model_type")))
    rotated = ("with rotary embeddings before the attention",) if before else ()
    return (*layers, *((scaled,) if scaled and kind != "default" else ()), *rotated, *((norms,) if norms else ()))


def _rope(config: Config) -> str:
    """What becomes of the rotary embeddings: see Plan."""
    kind, model = positions.scaling(config).kind, config.get("model_type")
    match kind:
        case "dynamic" if model != "hunyuan_v1_dense":  # its builder has that one's alpha
            return "plain"  # it scales beyond the context only, and the runtime ends there
        case "linear":
            return "exact" if model in _LLAMAS else "own"
        case "llama3":
            return "own" if model in _LLAMAS else "exact"
        case "yarn":
            # The builder dies without beta_fast and beta_slow and where the range that they give begins before the first pair, and
            # does not round that range as transformers does (make_inv_freq_rescaled_with_ntk).
            return "own" if model == "gpt_oss" else "exact"  # whose builder computes with fractions of pairs, as transformers does
        case "longrope":
            two = model == "phi3" and positions.original_context(config) != positions.context(config)
            return "own" if two else "exact"
        case _:
            return "plain" if kind == "default" else "own"


def two_bases(config: Config) -> bool:
    """Whether the layers' rotary embeddings differ in their base only, and by the window, which the builder makes of a Gemma 3."""
    both = config.get("rope_parameters")
    if config.get("model_type") != "gemma3_text" or not isinstance(both, Mapping):
        return False
    kinds = [fields.text(fields.nested(both, kind), "rope_type") for kind in (positions.SLIDING, positions.FULL)]
    return kinds == ["default", "default"]


def reasons(config: Config) -> Iterator[str]:
    """Sentences, one for each part of the model that the builder leaves out and that cannot be put right."""
    kind = positions.scaling(config).kind
    if positions.nested(config) and not two_bases(config):
        yield "its layers have rotary embeddings of several kinds (rope_parameters), and the model builder has one for all"
    elif kind not in positions.KINDS:
        yield f"its rotary embeddings are scaled by {kind}, which transformers does not know for such a model"
    elif config.get("model_type") == "phi3" and kind not in ("default", "longrope"):
        yield f"its rotary embeddings are scaled by {kind}, and transformers takes a Phi-3 with longrope or none only"
    if config.get("model_type") == "phi" and config.get("qk_layernorm"):
        yield "the model builder leaves out the norms of queries and keys of a Phi (qk_layernorm)"
    if config.get("model_type") == "nemotron" and config.get("mlp_bias"):
        yield "the model builder leaves out the biases in the MLPs of a Nemotron (mlp_bias)"
    if config.get("model_type") == "olmo" and config.get("clip_qkv") is not None:
        yield "the model builder leaves out the clipping of queries, keys and values of an OLMo (clip_qkv)"
