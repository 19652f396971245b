"""What is wrong with a graph is a sentence, for every precision: a weight that is missing, or stored or read otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from bakehouse.backends.onnxruntime.options import Weights
from bakehouse.backends.onnxruntime.seams import Graph, Matrix
from bakehouse.backends.onnxruntime.verify import judge

pytestmark = pytest.mark.needs_backend("onnxruntime")

WORDS = Matrix(name="words", op="Gather", type="float", shape=(30, 8))
LINEAR = Matrix(name="linear", op="MatMul", type="float", shape=(8, 4))
HEAD = Matrix(name="head", op="Gemm", type="float", shape=(1, 8))
HALF = {"type": "float16"}
IN_8_BITS = {
    "words": {"type": "uint8", "scales": 1},
    "linear": {"op": "MatMulInteger", "type": "int8", "scales": 4},
    "head": {"op": "MatMulInteger", "type": "int8", "shape": (8, 1), "scales": 1},
}


def graph(changes: dict[str, dict[str, Any]] | None = None, *matrices: Matrix) -> Graph:
    changed = [one.model_copy(update=(changes or {}).get(one.name, {})) for one in matrices or (WORDS, LINEAR, HEAD)]
    return Graph(inputs={}, outputs={}, matrices=tuple(changed))


@pytest.mark.parametrize(
    ("weights", "changes"), [("fp32", {}), ("fp16", dict.fromkeys(("words", "linear", "head"), HALF)), ("int8", IN_8_BITS)]
)
def test_a_graph_as_the_recipe_requests_it_has_no_fault(weights: Weights, changes: dict[str, dict[str, Any]]) -> None:
    assert list(judge(graph(), graph(changes), weights)) == []


@pytest.mark.parametrize(
    ("weights", "changes", "fault"),
    [
        ("fp16", {"words": HALF, "linear": HALF}, "the weight head is float of 1 x 8 in Gemm, should be float16 of 1 x 8 in Gemm"),
        (
            "int8",
            IN_8_BITS | {"linear": {}},
            "the weight linear is float of 8 x 4 in MatMul, should be int8 of 8 x 4 with 4 scales in MatMulInteger",
        ),
        (
            "int8",
            IN_8_BITS | {"linear": IN_8_BITS["linear"] | {"scales": 1}},
            "the weight linear is int8 of 8 x 4 with 1 scales in MatMulInteger, should be int8 of 8 x 4 with 4 scales in MatMulInteger",
        ),
        (
            "int8",
            IN_8_BITS | {"words": {}},
            "the weight words is float of 30 x 8 in Gather, should be uint8 of 30 x 8 with 1 scales in Gather",
        ),
    ],
)
def test_a_weight_that_is_stored_otherwise_is_named(weights: Weights, changes: dict[str, dict[str, Any]], fault: str) -> None:
    assert list(judge(graph(), graph(changes), weights)) == [fault]


def test_a_weight_that_only_one_of_both_graphs_has_is_named() -> None:
    assert list(judge(graph(), graph({}, WORDS, LINEAR), "fp32")) == ["the graph lacks the weight head"]
    assert list(judge(graph({}, WORDS, LINEAR), graph(), "fp32")) == ["the graph has weights that the export lacks: head"]
