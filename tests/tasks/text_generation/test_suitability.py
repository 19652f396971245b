"""What no runtime can make rightly is known from config.json, headers and tokenizer.json, and is said with names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.formats.checkpoint import Survey, Tensor
from bakehouse.tasks.text_generation import suitability, weight_names
from bakehouse.tasks.text_generation.workers import layer_prefix, positions

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "vocab_size": 1000}


def survey(names: set[str] | None = None, dtype: str = "BF16", rows: int = 1000, **config: Any) -> Survey:
    fields = LLAMA | config
    there = weight_names.expected(fields) if names is None else names
    tensors = tuple(Tensor(name=name, dtype=dtype, shape=(rows, 64)) for name in sorted(there or ()))
    return Survey(download_bytes=0, config=fields, tensors=tensors)


def names(**config: Any) -> set[str]:
    return set(weight_names.expected(LLAMA | config) or ())


def test_a_complete_checkpoint_is_suitable() -> None:
    assert suitability.reasons(survey()) == ()
    assert suitability.reasons(survey(tie_word_embeddings=True)) == ()
    assert suitability.reasons(survey(names(), tie_word_embeddings=True)) == ()  # a copy of the tied head


def test_old_buffers_and_names_without_the_base_prefix_are_not_faults() -> None:
    assert suitability.reasons(survey(names() | {"model.layers.0.self_attn.rotary_emb.inv_freq"})) == ()
    bare = {name.removeprefix("model.") for name in names(tie_word_embeddings=True)}
    assert suitability.reasons(survey(bare, tie_word_embeddings=True)) == ()
    assert suitability.reasons(survey(names() - {weight_names.EMBEDDING}, tie_word_embeddings=True)) == ()


def test_a_missing_weight_is_named() -> None:
    (said,) = suitability.reasons(survey(names() - {"model.layers.1.mlp.down_proj.weight"}))
    assert said == snapshot(
        "the checkpoint lacks weights of its architecture, which would become random numbers: model.layers.1.mlp.down_proj.weight"
    )


def test_an_untied_model_without_its_head_is_refused() -> None:
    assert suitability.reasons(survey(names() - {"lm_head.weight"}))[0].endswith("random numbers: lm_head.weight")


def test_a_weight_without_a_place_is_named() -> None:
    (said,) = suitability.reasons(survey(names() | {"model.layers.0.mlp.extra_proj.weight"}))
    assert said == snapshot("the checkpoint has weights that its architecture has no place for: model.layers.0.mlp.extra_proj.weight")


def test_names_are_compared_and_not_their_number() -> None:
    lost, strange = suitability.reasons(survey({f"_orig_mod.{name}" for name in names()}))
    assert "and 16 more" in lost and "_orig_mod.lm_head.weight" in strange


def test_an_unknown_architecture_is_left_to_the_worker_that_loads_it() -> None:
    assert suitability.reasons(survey({"anything"}, model_type="new", architectures=["NewForCausalLM"])) == ()


@pytest.mark.parametrize(
    ("config", "begins"),
    [
        ({"architectures": ["LlamaForSequenceClassification"]}, "LlamaForSequenceClassification is a classifier, such as a reward model"),
        ({"architectures": ["BertForTokenClassification"]}, "BertForTokenClassification is a classifier: it labels tokens"),
        ({"architectures": ["BertForMaskedLM"]}, "BertForMaskedLM is an encoder"),
        ({"architectures": ["BertModel"], "model_type": "bert"}, "BertModel has no head"),
        (
            {"architectures": ["WhisperForConditionalGeneration"], "is_encoder_decoder": True},
            "WhisperForConditionalGeneration has an encoder and a decoder",
        ),
        (
            {"architectures": ["LlavaForConditionalGeneration"], "vision_config": {}},
            "LlavaForConditionalGeneration takes images or sound (for prompts about a picture write `task: vision-language`)",
        ),
    ],
)
def test_the_class_decides_what_a_model_is_for(config: dict[str, Any], begins: str) -> None:
    (said,) = suitability.reasons(survey(set(), **config))
    assert said.startswith(begins)
    assert said.endswith("; Bakehouse makes models that write text, of a class such as LlamaForCausalLM")


def test_a_base_class_that_ties_its_head_or_has_one_writes_text() -> None:
    assert suitability.reasons(survey(architectures=["LlamaModel"])) == ()
    assert suitability.reasons(survey(architectures=["GPT2LMHeadModel"], model_type="gpt2")) == ()
    assert suitability.reasons(survey(architectures=["Qwen3Model"], model_type="qwen3", tie_word_embeddings=True)) == ()


@pytest.mark.parametrize(
    ("settings", "way"),
    [
        ({"quant_method": "awq"}, ", or write `dequantize: true` into the recipe's source"),
        ({"quant_method": "gptq", "bits": 4}, ", or write `dequantize: true` into the recipe's source"),
        ({"quant_method": "fp8"}, ", or write `dequantize: true` into the recipe's source"),
        ({"quant_method": "bitsandbytes"}, "; bitsandbytes is not dequantized here"),
        ({"quant_method": "gptq", "bits": 3}, "; gptq with 3 bits is not dequantized here"),
    ],
)
def test_a_quantized_checkpoint_is_one_sentence_with_a_way_out(settings: dict[str, Any], way: str) -> None:
    method = settings["quant_method"]
    assert suitability.reasons(survey({"model.qweight"}, quantization_config=settings)) == (
        f"the checkpoint is quantized already ({method}): take the unquantized model that it was made from as the source{way}",
    )


def test_weights_in_8_bits_are_a_quantized_checkpoint_whatever_config_says() -> None:
    (said,) = suitability.reasons(survey(dtype="F8_E4M3"))
    assert said.startswith("the checkpoint has weights in F8_E4M3, first lm_head.weight, so it is quantized already: ")


def test_an_embedding_of_another_size_is_refused_with_both_numbers() -> None:
    said = suitability.reasons(survey(rows=1001))
    assert said[-1] == snapshot("model.embed_tokens.weight has 1,001 rows, and config.json says vocab_size 1,000")


def tokenizer(folder: Path, added: dict[str, int], special: bool = True, own: dict[str, int] | None = None, **settings: str) -> Path:
    tokens = [{"content": token, "id": number, "special": special} for token, number in added.items()]
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": own or {"a": 0}}, "added_tokens": tokens}))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


BEYOND = {"[PAD]": 1000, "<tool>": 1001, "</tool>": 1002}


def test_tokens_beyond_the_embedding_that_a_prompt_holds_are_named(tmp_path: Path) -> None:
    (said,) = suitability.tokens_beyond(tokenizer(tmp_path, BEYOND, pad_token="[PAD]"), LLAMA, ["The <tool>brown</tool> fox"])
    assert "beyond the embedding's 1,000 rows" in said and ": <tool> (1001), </tool> (1002); " in said


def test_tokens_beyond_the_embedding_that_any_prompt_can_hold_are_named(tmp_path: Path) -> None:
    for fields in ({"special": False}, {"chat_template": "{{ '<tool>' }}"}, {"eos_token": "<tool>"}):
        (said,) = suitability.tokens_beyond(tokenizer(tmp_path, {"<tool>": 1001}, **fields), LLAMA, [])
        assert ": <tool> (1001); " in said
    assert ": b (1000); " in suitability.tokens_beyond(tokenizer(tmp_path, {}, own={"a": 999, "b": 1000}), LLAMA, [])[0]


def test_rows_without_a_token_and_special_tokens_that_no_prompt_holds_are_allowed(tmp_path: Path) -> None:
    assert suitability.tokens_beyond(tokenizer(tmp_path, {"<s>": 1}), LLAMA, []) == ()
    assert suitability.tokens_beyond(tokenizer(tmp_path, BEYOND, pad_token="[PAD]"), LLAMA, ["a fox"]) == ()
    assert suitability.tokens_beyond(tmp_path / "none", LLAMA, []) == ()


@pytest.mark.model
@pytest.mark.parametrize("kind", sorted(weight_names.LAYERS))
def test_the_names_are_those_of_transformers(kind: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    for fields in ({}, {"tie_word_embeddings": False}, {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True}):
        sizes = {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 2}
        config = {"num_hidden_layers": 2, "vocab_size": 100, "pad_token_id": 0, **sizes, **fields}
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **config))
        assert not type(model)._keys_to_ignore_on_load_unexpected
        there = {name for name in model.state_dict() if name != weight_names.HEAD or not model.config.tie_word_embeddings}
        assert there == weight_names.expected({"model_type": kind, **config}), (kind, fields)


def test_a_tokenizer_is_parsed_once_for_all_builds_and_again_once_it_changed(tmp_path: Path) -> None:
    folder = tokenizer(tmp_path, BEYOND, pad_token="[PAD]")
    suitability._beyond.cache_clear()
    for _ in range(3):
        assert suitability.tokens_beyond(folder, LLAMA, ["The <tool>brown</tool> fox"])
    assert suitability._beyond.cache_info().misses == 1
    tokenizer(tmp_path, {"<s>": 1})
    assert suitability.tokens_beyond(folder, LLAMA, ["The <tool>brown</tool> fox"]) == ()


def test_a_number_of_layers_that_no_model_has_is_a_sentence_and_not_a_list_of_names() -> None:
    said = suitability.reasons(survey({"model.norm.weight"}, num_hidden_layers=1 << 40))
    assert said == ("config.json says that the model has 1,099,511,627,776 layers, and no model has more than 10,000",)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("tokenizer.json", "{"),
        ("tokenizer.json", "[" * 100_000),
        ("tokenizer.json", '{"added_tokens": "x"}'),
        ("tokenizer.json", '{"added_tokens": [{"id": "x", "content": "<a>"}]}'),
        ("tokenizer.json", '{"model": {"vocab": {"a": null}}}'),
        ("tokenizer_config.json", "[]"),
    ],
)
def test_a_tokenizer_that_nobody_writes_is_a_sentence(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / file).write_text(text)
    (said,) = suitability.tokens_beyond(tmp_path, LLAMA, ())
    assert said.startswith("tokenizer.json or tokenizer_config.json is not one that transformers writes")


@pytest.mark.parametrize("kind", ["llama", "phi3", "gemma2"])
def test_no_list_is_as_long_as_a_damaged_config_says(kind: str) -> None:
    config = {"model_type": kind, "num_hidden_layers": 1 << 62, "sliding_window": 8}
    assert len(positions.layer_types(config)) == 10_000
    assert layer_prefix.shortest(config, {"model.layers.0.a.weight": (2, 2)}) == 1 << 62
