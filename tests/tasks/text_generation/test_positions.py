"""What a config.json says of positions, and what the plan for the ONNX model builder makes of it: pure rules."""

from __future__ import annotations

from typing import Any

import pytest

from bakehouse.backends.onnxruntime_genai.workers import plan as ort_plan
from bakehouse.tasks.text_generation.workers import positions
from tests.support.ort_making import build

CPU, DML = build(weights="fp32"), build("dml", weights="fp16")
pytestmark = pytest.mark.needs_backend("onnxruntime_genai")
PHI3 = {"model_type": "phi3", "max_position_embeddings": 4096, "original_max_position_embeddings": 4096, "num_hidden_layers": 2}
LLAMA = {"model_type": "llama", "max_position_embeddings": 512, "num_hidden_layers": 2}
YARN = {"factor": 4.0, "original_max_position_embeddings": 64}
SHORT_AND_LONG = {"short_factor": [1.0], "long_factor": [2.0]}


@pytest.mark.parametrize(
    ("config", "window"),
    [
        ({**PHI3, "sliding_window": 2047}, 2047),
        ({**PHI3, "sliding_window": None}, None),
        (PHI3, None),
        ({**PHI3, "sliding_window": 4096}, None),  # no longer than the context: without effect
        ({"model_type": "mistral", "max_position_embeddings": 32768}, 4096),  # by default
        ({"model_type": "mistral", "max_position_embeddings": 32768, "sliding_window": None}, None),
        ({**LLAMA, "sliding_window": 64}, None),  # which transformers does not read
        ({**LLAMA, "model_type": "qwen2", "sliding_window": 64, "use_sliding_window": False}, None),
        ({**LLAMA, "model_type": "qwen2", "sliding_window": 64, "use_sliding_window": True}, None),  # from layer 28 on
        ({**LLAMA, "model_type": "qwen2", "sliding_window": 64, "use_sliding_window": True, "max_window_layers": 1}, 64),
        ({**LLAMA, "model_type": "gemma2", "sliding_window": 64}, 64),
        ({**LLAMA, "model_type": "gemma2", "sliding_window": 64, "layer_types": ["full_attention"] * 2}, None),
    ],
)
def test_a_window_is_what_transformers_makes_of_config_json(config: dict[str, Any], window: int | None) -> None:
    assert positions.window(config) == window


FIELDS: list[dict[str, Any]] = [
    {"model_type": "qwen2", "use_sliding_window": True, "max_window_layers": 3},
    {"model_type": "qwen3", "use_sliding_window": False, "max_window_layers": 3},
    {"model_type": "gemma2"},
    {"model_type": "gemma3_text"},
    {"model_type": "smollm3", "use_sliding_window": True, "sliding_window": 16},
    {"model_type": "smollm3", "use_sliding_window": True, "sliding_window": 16, "no_rope_layers": [0, 1] * 4},
    {"model_type": "smollm3"},
]


@pytest.mark.model
@pytest.mark.parametrize("fields", FIELDS)
def test_layers_have_the_kinds_that_transformers_gives_them(fields: dict[str, Any]) -> None:
    from transformers import AutoConfig

    config_fields = {**fields, "num_hidden_layers": 8}
    config = AutoConfig.for_model(**config_fields)
    assert positions.layer_types(config_fields) == config.layer_types
    sliding = config.sliding_window if "sliding_attention" in config.layer_types else None
    assert positions.window({**config_fields, "max_position_embeddings": 8192}) == sliding


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "default"),
        ({"rope_scaling": None, "rope_theta": 1.0}, "default"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "linear"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 1.0}}, "default"),
        ({"rope_parameters": {"rope_type": "yarn", **YARN, "rope_theta": 1.0}}, "yarn"),
        ({"rope_scaling": {"rope_type": "yarn", "type": "yarn", **YARN}}, "yarn"),
        ({"rope_scaling": {"type": "yarn", "factor": 1.0}}, "default"),
        ({"rope_scaling": {"type": "yarn", "factor": 1.0, "attention_factor": 1.2}}, "yarn"),
        ({"rope_parameters": {"rope_theta": 1.0}}, "default"),
        ({"model_type": "phi3", "rope_scaling": {"type": "su", **SHORT_AND_LONG}}, "longrope"),
    ],
)
def test_scaling_is_read_by_either_spelling(fields: dict[str, Any], kind: str) -> None:
    assert positions.scaling({**LLAMA, **fields}).kind == kind


@pytest.mark.parametrize(
    ("model", "kind", "rope"),
    [
        ("llama", "linear", "exact"),
        ("llama", "llama3", "own"),
        ("llama", "yarn", "exact"),
        ("llama", "dynamic", "plain"),
        ("nemotron", "linear", "exact"),
        ("mistral", "linear", "own"),
        ("mistral", "llama3", "exact"),
        ("qwen2", "yarn", "exact"),
        ("qwen2", "default", "plain"),
        ("hunyuan_v1_dense", "dynamic", "own"),
    ],
)
def test_scaled_embeddings_are_the_builders_own_only_where_it_makes_them_right(model: str, kind: str, rope: str) -> None:
    config = {**LLAMA, "model_type": model, "sliding_window": None, "rope_scaling": {"rope_type": kind, "factor": 4.0}}
    assert ort_plan.plan(config, CPU).rope == rope


def test_a_window_is_named_for_the_builder_and_its_cache_is_complete() -> None:
    planned = ort_plan.plan({**PHI3, "sliding_window": 2047}, CPU)
    assert planned.layer_types == ("sliding_attention",) * 2
    assert planned.words == ("windowed_kv_cache=false",)
    assert (planned.context, planned.cut_from) == (4096, None)
    plain = ort_plan.plan({**PHI3, "sliding_window": None}, CPU)
    assert (plain.layer_types, plain.words, plain.by_hand) == (None, (), ())


def test_the_context_ends_where_directml_would_look_beyond_the_window() -> None:
    planned = ort_plan.plan({**PHI3, "sliding_window": 2047}, DML)
    assert (planned.context, planned.cut_from) == (2047, 4096)
    assert planned.cut_reason.startswith("DirectML's attention does not know the model's sliding window")


def test_longrope_that_the_builder_does_not_know_ends_at_the_original_length() -> None:
    scaling = {"rope_scaling": {"type": "longrope", **SHORT_AND_LONG, "original_max_position_embeddings": 128}}
    planned = ort_plan.plan({**LLAMA, **scaling}, CPU)
    assert (planned.rope, planned.context, planned.cut_from) == ("exact", 128, 512)
    phi = {**PHI3, "rope_scaling": {"type": "longrope", **SHORT_AND_LONG}}
    assert ort_plan.plan(phi, CPU).rope == "exact"  # one length: there is nothing to change over to
    longer = ort_plan.plan({**phi, "max_position_embeddings": 131072}, CPU)
    assert (longer.rope, longer.context, longer.cut_from) == ("own", 131072, None)


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ({}, 4096),
        ({"original_max_position_embeddings": 128}, 128),
        ({"model_type": "phimoe", "original_max_position_embeddings": 128}, 128),
        ({"model_type": "phimoe", "rope_scaling": {"type": "longrope", "original_max_position_embeddings": 256}}, 256),
        ({"max_position_embeddings": 4096}, None),  # an answer cannot pass it
        ({"rope_scaling": None}, None),
        ({"model_type": "llama"}, None),
    ],
)
def test_where_a_cache_is_computed_anew_is_what_the_models_code_has(fields: dict[str, Any], length: int | None) -> None:
    config = {**PHI3, "max_position_embeddings": 131072, "rope_scaling": {"type": "longrope"}, **fields}
    if fields.get("model_type") and "original_max_position_embeddings" not in fields:
        del config["original_max_position_embeddings"]
    assert positions.recomputed_at(config) == length


def test_genai_computes_a_cache_anew_at_one_length_and_not_on_directml() -> None:
    phi = {**PHI3, "max_position_embeddings": 131072, "rope_scaling": {"type": "longrope", **SHORT_AND_LONG}}
    assert ort_plan.kept_beyond(phi, CPU) is None
    assert ort_plan.kept_beyond(phi, DML) == 4096
    assert ort_plan.kept_beyond({**phi, "original_max_position_embeddings": 8192}, CPU) == 8192
    assert ort_plan.kept_beyond({**phi, "max_position_embeddings": 4096}, DML) is None
    assert ort_plan.kept_beyond({**phi, "sliding_window": 2047}, DML) is None  # its context is cut before


@pytest.mark.parametrize(
    ("fields", "rotated", "before"),
    [
        ({"hidden_size": 256}, 64, False),
        ({"hidden_size": 96}, 24, True),
        ({"head_dim": 40}, 40, True),
        ({"hidden_size": 256, "partial_rotary_factor": 0.25}, 64, False),  # which a Llama does not read
        ({"model_type": "phi", "hidden_size": 320}, 40, True),  # half of 80 by default
        ({"model_type": "phi", "hidden_size": 320, "partial_rotary_factor": 0.4}, 32, False),
        ({"model_type": "phi3", "head_dim": 128, "partial_rotary_factor": 0.75}, 96, False),
        ({"model_type": "phi3", "head_dim": 16, "rope_parameters": {"rope_theta": 1.0, "partial_rotary_factor": 0.75}}, 12, True),
        ({"model_type": "smollm3", "head_dim": 24}, 24, False),
        ({}, None, False),
    ],
)
def test_what_the_attention_cannot_rotate_is_rotated_before_it(fields: dict[str, Any], rotated: int | None, before: bool) -> None:
    config = {**LLAMA, "num_attention_heads": 4, **fields}
    assert positions.rotated(config) == rotated
    assert ort_plan.plan(config, CPU).rotated_before is before
    assert ort_plan.plan(config, DML).rotated_before is False  # it never rotates within the attention


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model_type": "phi", "qk_layernorm": True}, "the model builder leaves out the norms of queries and keys of a Phi"),
        ({"model_type": "olmo", "clip_qkv": 8.0}, "the model builder leaves out the clipping of queries, keys and values of an OLMo"),
        ({"model_type": "nemotron", "mlp_bias": True}, "the model builder leaves out the biases in the MLPs of a Nemotron"),
        ({"rope_scaling": {"type": "mrope", "mrope_section": [1]}}, "its rotary embeddings are scaled by mrope, which transformers"),
        ({"rope_parameters": {"full_attention": {"rope_type": "default"}}}, "its layers have rotary embeddings of several kinds"),
        ({**PHI3, "rope_scaling": {"type": "linear", "factor": 2.0}}, "its rotary embeddings are scaled by linear, and transformers"),
    ],
)
def test_what_the_builder_leaves_out_is_refused_in_words(fields: dict[str, Any], said: str) -> None:
    (reason,) = ort_plan.reasons({**LLAMA, **fields})
    assert reason.startswith(said)


def test_what_is_right_or_put_right_is_not_refused() -> None:
    for kind in positions.KINDS - {"default"}:
        assert list(ort_plan.reasons({**LLAMA, "rope_scaling": {"type": kind, "factor": 4.0}})) == []
    for fields in ({"model_type": "olmo"}, {"model_type": "phi", "qk_layernorm": False}, {"model_type": "nemotron"}):
        assert list(ort_plan.reasons({**LLAMA, **fields})) == []
