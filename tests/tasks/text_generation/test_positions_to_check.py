"""Which lengths are compared: every one at which a configuration says that a model may come to compute something else, within a budget."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from bakehouse.formats import safetensors_files
from bakehouse.tasks.text_generation.workers import layer_prefix
from bakehouse.tasks.text_generation.workers.positions_to_check import BUDGET, FIRST_FACTOR, boundaries, check, context, cost, inputs

PHI3 = {
    "num_hidden_layers": 32, "hidden_size": 3072, "num_attention_heads": 32, "vocab_size": 32064,
    "max_position_embeddings": 4096, "original_max_position_embeddings": 4096, "sliding_window": 2047,
}  # fmt: skip


def shapes(layers: int, hidden: int, inner: int, vocabulary: int, kinds: int = 1) -> dict[str, tuple[int, ...]]:
    """The weights of a model whose layers take turns to have `kinds` different shapes."""
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, hidden), "lm_head.weight": (vocabulary, hidden)}
    for layer in range(layers):
        found[f"model.layers.{layer}.self_attn.weight"] = (hidden, 4 * hidden)
        found[f"model.layers.{layer}.mlp.weight"] = (hidden + layer % kinds, 3 * inner)
    return found


PHI3_SHAPES = shapes(32, 3072, 8192, 32064)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (PHI3, {"sliding_window": 2047}),
        ({"sliding_window": 64, "use_sliding_window": False, "max_position_embeddings": 512}, {}),
        ({"sliding_window": 64, "layer_types": ["full_attention"] * 2, "max_position_embeddings": 512}, {}),
        ({"sliding_window": 512, "max_position_embeddings": 512}, {}),  # as long as the context, so never reached
        (
            {"rope_scaling": {"type": "longrope"}, "original_max_position_embeddings": 64, "max_position_embeddings": 512},
            {"original_max_position_embeddings": 64},
        ),
        (
            {"rope_parameters": {"full": {"rope_type": "yarn", "original_max_position_embeddings": 64}}, "max_position_embeddings": 512},
            {"original_max_position_embeddings": 64},
        ),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 4.0}, "max_position_embeddings": 64}, {"max_position_embeddings": 64}),
        ({"rope_scaling": {"rope_type": "linear", "factor": 4.0}, "max_position_embeddings": 64}, {}),
    ],
    ids=["window", "unused window", "no layer has the window", "window of the context", "longrope", "yarn by layer", "dynamic", "linear"],
)
def test_a_boundary_is_what_the_configuration_names_within_its_context(config: dict[str, Any], found: dict[str, int]) -> None:
    assert {one.name: one.tokens for one in boundaries(config)} == found


def test_each_boundary_is_crossed_at_once_and_token_by_token() -> None:
    crossing = [run for run in check(PHI3, PHI3_SHAPES).runs if run.crosses]
    assert [(run.stepped, run.prefill < 2047 < run.tokens or run.prefill > 2047) for run in crossing] == [(False, True), (True, True)]
    assert all({2045, 2047, 2050, 2380} <= set(run.scored) for run in crossing)


def test_the_shortest_input_ends_before_the_first_boundary() -> None:
    runs = check({**PHI3, "sliding_window": 16}, PHI3_SHAPES).runs
    assert min(run.tokens for run in runs) == 16


def test_half_and_nearly_all_of_the_context_are_checked_too() -> None:
    wanted = check(
        {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "max_position_embeddings": 1024}, shapes(2, 64, 128, 1000)
    )
    assert {"half of the context": 512, "the context": 1016}.items() <= {run.name: run.tokens for run in wanted.runs}.items()
    assert (wanted.layers, wanted.not_checked) == (2, ())


def test_a_large_model_is_compared_by_its_first_layers_and_says_what_it_leaves_out() -> None:
    wanted = check(PHI3, PHI3_SHAPES)
    assert (wanted.layers, wanted.deeper_layers, wanted.of) == (1, 2, 32)
    assert wanted.not_checked == (("4,088 tokens (the context)", "it would take too long"),)
    assert cost(wanted, PHI3, PHI3_SHAPES) < FIRST_FACTOR * BUDGET


def test_a_model_below_a_billion_is_also_compared_in_full_on_short_inputs() -> None:
    config = {"num_hidden_layers": 30, "hidden_size": 576, "num_attention_heads": 9, "vocab_size": 49152, "max_position_embeddings": 8192}
    wanted = check(config, shapes(30, 576, 1536, 49152))
    assert (wanted.layers, wanted.deeper_layers, {run.tokens for run in wanted.deeper}) == (1, 30, {24})
    assert wanted.not_checked == ()


def test_a_long_input_still_goes_through_one_layer_of_every_kind() -> None:
    assert check(PHI3 | {"layer_types": ["sliding_attention", "full_attention"] * 16}, PHI3_SHAPES).layers == 2


def test_a_window_of_4096_in_seven_billion_weights_is_crossed_in_one_layer_and_short_inputs_take_two() -> None:
    mistral = {
        "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000,
        "max_position_embeddings": 32768, "sliding_window": 4096,
    }  # fmt: skip
    wanted = check(mistral, shapes(32, 4096, 14336, 32000))
    crossing = [(run.tokens, run.stepped) for run in wanted.runs if run.crosses]
    assert (wanted.layers, crossing) == (1, [(4778, False), (4778, True)])
    assert (wanted.deeper_layers, [run.name for run in wanted.deeper]) == (2, ["short", "short, token by token"])


def test_inputs_that_are_given_at_once_are_one_unless_rotary_embeddings_depend_on_the_length() -> None:
    runs = check({"max_position_embeddings": 512, "num_hidden_layers": 2}, shapes(2, 64, 128, 1000)).runs
    assert inputs(runs, joined=True) == (504, 12)  # twelve tokens go on from the cache of the long one
    assert len(inputs(runs, joined=False)) == len(runs)
    assert not check({"rope_scaling": {"type": "longrope"}, "num_hidden_layers": 2}, shapes(2, 64, 128, 1000)).joined


def test_the_context_of_dynamic_scaling_goes_beyond_the_original_one() -> None:
    assert context({"max_position_embeddings": 64, "rope_scaling": {"rope_type": "dynamic", "factor": 4.0}}) == 256


@pytest.mark.parametrize(
    ("more", "kinds", "layers"),
    [
        ({}, 1, 2),
        ({"layer_types": ["sliding", "sliding", "sliding", "full"] * 3}, 1, 4),
        ({}, 3, 3),  # weights of another shape in every third layer
        ({"sliding_window_pattern": 6}, 1, 6),
        ({"use_sliding_window": True, "max_window_layers": 4}, 1, 5),
        ({"use_sliding_window": False, "max_window_layers": 4}, 1, 2),
    ],
)
def test_the_first_layers_have_one_of_every_kind(more: dict[str, Any], kinds: int, layers: int) -> None:
    assert layer_prefix.shortest({"num_hidden_layers": 12, **more}, shapes(12, 8, 8, 10, kinds)) == layers


def test_a_model_whose_layers_have_other_names_is_not_cut() -> None:
    assert layer_prefix.shortest({"num_hidden_layers": 2}, {"part.0.w": (4, 4), "part.1.w": (4, 4)}) == 2
    assert layer_prefix.shortest({"num_hidden_layers": 12}, {f"strange{n}.w": (4, 4) for n in range(12)}) == 12


def test_the_first_layers_of_a_checkpoint_are_its_own_bytes(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir(), cut.mkdir()
    names = ["model.embed_tokens.weight", "model.layers.0.w", "model.layers.1.w", "model.layers.10.w", "model.norm.weight"]
    header = {name: {"dtype": "F32", "shape": [1], "data_offsets": [4 * at, 4 * at + 4]} for at, name in enumerate(names)}
    fields = json.dumps(header).encode()
    (whole / "model.safetensors").write_bytes(struct.pack("<Q", len(fields)) + fields + struct.pack("<5f", *range(5)))
    (whole / "config.json").write_text(json.dumps({"num_hidden_layers": 11, "layer_types": ["a"] * 11, "eos_token_id": [0] * 11}))
    (whole / "tokenizer.json").write_text("{}")
    layer_prefix.write(whole, cut, 2, 11)
    assert json.loads((cut / "config.json").read_text()) == {"num_hidden_layers": 2, "layer_types": ["a"] * 2, "eos_token_id": [0] * 11}
    assert safetensors_files.faults(cut) == ()
    assert {tensor.name for tensor in safetensors_files.tensors(cut)} == set(names) - {"model.layers.10.w"}
    assert (cut / "model.safetensors").read_bytes()[-16:] == struct.pack("<4f", 0, 1, 2, 4)


def test_links_of_a_checkpoint_have_the_first_layers_configuration_or_are_none(tmp_path: Path) -> None:
    whole, linked, taken = (tmp_path / name for name in ("whole", "linked", "taken"))
    for folder in (whole, linked, taken):
        folder.mkdir()
    (whole / "config.json").write_text(json.dumps({"num_hidden_layers": 11}))
    for name in ("a.json", "model.safetensors"):
        (whole / name).write_bytes(name.encode())
    assert layer_prefix.link(whole, linked, 2, 11)
    assert json.loads((linked / "config.json").read_text()) == {"num_hidden_layers": 2}
    assert (linked / "model.safetensors").samefile(whole / "model.safetensors")
    (taken / "model.safetensors").write_bytes(b"")  # a link that cannot be made
    assert not layer_prefix.link(whole, taken, 2, 11)
    assert [path.name for path in taken.iterdir()] == ["model.safetensors"]
