"""A search comes to every combination that the runtime's own options allow."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bakehouse.recipe.candidates import candidates
from bakehouse.recipe.search import Search, size_bytes

pytestmark = pytest.mark.needs_backend("onnxruntime_genai", "openvino")
TEXTS = {"type": "file", "path": "texts.txt"}


def search(runtime: str = "openvino", **given: Any) -> Search:
    return Search.model_validate_json(json.dumps({"runtime": runtime, "minimize": "size", "bounds": {"kl_mean": 0.2}, **given}))


def test_every_combination_is_a_build_with_the_options_of_the_base() -> None:
    found = candidates(search(over={"group_size": [32, 64], "ratio": [0.6, 1.0]}, base={"symmetric": True}))
    assert [dict(one.varied) for one in found.combinations] == [
        {"group_size": size, "ratio": ratio} for size in (32, 64) for ratio in (0.6, 1.0)
    ]
    assert all(one.build.quantization.symmetric and one.build.quantization.weights == "int4" for one in found.combinations)
    assert (found.left_out, found.faults) == (0, [])


def test_options_of_the_build_itself_can_be_in_the_base() -> None:
    found = candidates(search("onnxruntime-genai", over={"block_size": [32]}, base={"execution_provider": "dml", "graph_capture": False}))
    assert found.combinations[0].build.execution_provider == "dml"


def test_invalid_combinations_are_left_out_and_counted() -> None:
    found = candidates(search("onnxruntime-genai", over={"algorithm": ["default", "k_quant"], "symmetric": [True, False]}))
    assert len(found.combinations) == 3
    assert found.left_out == 1


def test_the_same_build_in_other_words_is_left_out() -> None:
    found = candidates(search(over={"ratio": [0.6], "sensitivity_metric": [None, "weight_quantization_error"]}))
    assert (len(found.combinations), found.left_out) == (1, 1)


def test_a_value_of_one_format_only_is_not_an_error() -> None:
    found = candidates(search(over={"weights": ["int4", "int8"], "ratio": [0.6, 1.0]}))
    assert {one.build.quantization.weights for one in found.combinations} == {"int4"}
    assert [fault.loc for fault in found.faults] == [("over", "weights", 1)]


def test_texts_are_left_out_where_no_method_looks_at_them() -> None:
    over = {"ratio": [1.0], "scale_estimation": [False, True]}
    found = candidates(search(over=over, base={"calibration": {**TEXTS, "num_samples": 8, "max_tokens": 64}}))
    assert [one.build.texts() is not None for one in found.combinations] == [False, True]


def test_the_backend_knows_which_options_are_monotone() -> None:
    kind = type(candidates(search(over={"ratio": [1.0]})).combinations[0].build)
    assert [kind.coarseness("group_size", value) for value in (32, 64, -1)] == sorted(
        kind.coarseness("group_size", value) for value in (-1, 64, 32)
    )
    assert kind.coarseness("awq", True) is None
    assert kind.coarseness("backup_precision", "none") < kind.coarseness("backup_precision", "int8_asym")


@pytest.mark.parametrize(("text", "size"), [("95MB", 95_000_000), ("1.5 GB", 1_500_000_000), ("2GiB", 2 << 30)])
def test_a_size_has_a_unit(text: str, size: int) -> None:
    assert size_bytes(text) == size
