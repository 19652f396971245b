"""Which layers of an ONNX model get 8 bits where each was measured alone in 4."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.onnxruntime_genai import backend as ort_genai
from bakehouse.backends.onnxruntime_genai import layer_names
from bakehouse.backends.onnxruntime_genai import words as ort_words
from bakehouse.backends.onnxruntime_genai.layer_names import Part
from bakehouse.backends.onnxruntime_genai.quantization import OrtInt4
from bakehouse.backends.onnxruntime_genai.weights import name_of
from bakehouse.executor import process
from bakehouse.executor.process import Children
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation import layers
from bakehouse.tasks.text_generation.layers import LAYERS, Layer
from tests.support import fidelity_making, sampling
from tests.support.ort_making import build, make, model_step, sha256, spec

INT4: dict[str, Any] = {"weights": "int4", "block_size": 32}
DOWN = "/model/layers.0/mlp/down_proj/MatMul"


def step(**quantization: Any) -> Step | None:
    one = build(**quantization)
    parts = {"model": model_step(one)}
    return ort_genai.sensitivity("model-build", one, parts, fidelity_making.REFERENCE)


@pytest.mark.parametrize(
    ("node", "present", "found"),
    [
        (DOWN, ("gate_proj", "down_proj"), (Part("down_proj"),)),
        ("/model/layers.3/attn/qkv_proj/MatMul", ("q_proj", "k_proj", "v_proj"), (Part("q_proj"), Part("k_proj"), Part("v_proj"))),
        ("/model/layers.3/attn/qkv_proj/MatMul", ("qkv_proj",), (Part("qkv_proj"),)),
        ("/model/layers.3/mlp/up_proj/MatMul", ("gate_up_proj",), (Part("gate_up_proj", 1, 2),)),
        ("/model/layers.3/mlp/up_proj/MatMul", ("fc1",), ()),
        ("/lm_head/MatMul", ("lm_head",), ()),
    ],
)
def test_a_node_has_the_matrices_that_torch_has(node: str, present: tuple[str, ...], found: tuple[Part, ...]) -> None:
    assert layer_names.parts(node, present) == found


@pytest.mark.parametrize(
    ("weight", "share"),
    [
        ("model.layers.0.mlp.down_proj.weight", 1.0),
        ("model.layers.10.mlp.down_proj.weight", 0.0),
        ("model.layers.1.self_attn.k_proj.weight", 1.0),
        ("model.layers.1.self_attn.o_proj.weight", 0.0),
        ("model.layers.2.mlp.gate_up_proj.weight", 0.5),
        ("model.layers.2.mlp.up_proj.weight", 1.0),
        ("model.embed_tokens.weight", 0.0),
    ],
)
def test_a_weight_is_in_8_bits_as_far_as_nodes_have_it(weight: str, share: float) -> None:
    nodes = (DOWN, "/model/layers.1/attn/qkv_proj/MatMul", "/model/layers.2/mlp/up_proj/MatMul")
    assert layer_names.share(weight, nodes) == share


def test_a_ratio_becomes_names(tmp_path: Path) -> None:
    measured = (Layer(node="a", weights=100, harm=0.4), Layer(node="b", weights=400, harm=0.4), Layer(node="c", weights=500, harm=0.0))
    (tmp_path / LAYERS).write_text(json.dumps([layer.model_dump() for layer in measured]), encoding="utf-8")
    named = ort_genai.keeping(build(**INT4, ratio=0.9), tmp_path).quantization
    assert isinstance(named, OrtInt4) and (named.ratio, named.int8_nodes) == (1.0, ("a",))


def test_every_ratio_of_builds_that_are_otherwise_equal_shares_one_measurement() -> None:
    one, other, finer = step(**INT4, ratio=0.6), step(**INT4, ratio=0.8), step(weights="int4", block_size=16, ratio=0.6)
    assert one and other and finer
    assert one.key == other.key != finer.key
    assert one.need("model").key == model_step(build(**INT4)).key, "the build with all layers in 4 bits, as a candidate of ratio 1.0 is"
    assert step(**INT4) is None, "with ratio 1.0 there is nothing to choose"


def test_the_builder_is_given_names_as_json_with_all_other_exceptions() -> None:
    last = {"last_matmul": "int8"}
    given = ort_words.target_options(
        spec(build(**INT4, int8_nodes=[DOWN], nodes_to_exclude=["x"], matmul_mixed_precision=last)), ties=False
    )
    assert given["quant_config"] == {
        "weights": {
            "overrides": [
                {"match": {"name": "x"}, "exclude": True},
                {"match": {"name": DOWN}, "type": "int8"},
                {"match": {"preset": "last_matmul"}, "type": "int8"},
            ]
        }
    }
    assert ort_words.target_options(spec(build(**INT4)), ties=True) == {}
    tied = ort_words.target_options(spec(build(**INT4, int8_nodes=[DOWN])), ties=True)["quant_config"]
    assert isinstance(tied, dict) and tied["weights"]["op_types"] == ["MatMul", "Gather"]


@pytest.mark.model
@pytest.mark.parametrize("algorithm", sampling.cases(("default", "k_quant"), ("default",)))
def test_each_layer_is_measured_and_what_is_chosen_is_made(tiny_checkpoint: Path, tmp_path: Path, algorithm: str) -> None:
    options = {**INT4, "algorithm": algorithm}
    wanted, plain = step(**options, ratio=0.5), make(build(**options), tmp_path / "plain", tiny_checkpoint)
    assert wanted
    reference = fidelity_making.reference_of(tiny_checkpoint)
    inputs = {"checkpoint": tiny_checkpoint, "model": plain.files, "reference": reference}
    left = []
    for name in ("one", "two"):
        (files := tmp_path / name / "files").mkdir(parents=True)
        done = process.run(
            ort_genai.command(wanted, inputs, files),
            children=Children(),
            log=tmp_path / name / "log.txt",
            scratch=tmp_path / name / "scratch",
            on_progress=lambda progress: None,
        )
        assert ort_genai.verify(wanted, inputs, files, done.report).faults == ()
        left.append(files)
    assert sha256(left[0] / LAYERS) == sha256(left[1] / LAYERS)
    found = {layer.node: layer for layer in layers.read(left[0])}
    inner = {name_of(matrix): matrix for matrix in plain.result.graph.weights if name_of(matrix).startswith("/model/layers.")}
    assert {node: layer.weights for node, layer in found.items()} == {
        node: matrix.shape[0] * matrix.shape[1] for node, matrix in inner.items() if matrix.shape
    }
    assert len({layer.harm for layer in found.values()}) > 1
    chosen = ort_genai.keeping(build(**options, ratio=0.5), left[0])
    made = make(chosen, tmp_path / "made", tiny_checkpoint)
    assert made.verification.faults == ()
    four = {name_of(matrix) for matrix in made.result.graph.weights if matrix.bits == 4 and name_of(matrix) in inner}
    assert four == inner.keys() - set(layers.out_of_four_bits(tuple(found.values()), 0.5))


ROUNDINGS = (("default", True), ("default", False), ("rtn", True), ("k_quant", None))


@pytest.mark.model
@pytest.mark.parametrize(("algorithm", "symmetric"), sampling.cases(ROUNDINGS, (("default", True), ("k_quant", None))))
def test_a_layer_is_rounded_as_the_runtime_has_it(tiny_checkpoint: Path, tmp_path: Path, algorithm: str, symmetric: bool | None) -> None:
    """The numbers of a layer that was measured are those that ONNX Runtime multiplies with: read out of it with a matrix of ones."""
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    from bakehouse.backends.onnxruntime_genai.workers import sensitivity

    made = make(build(**INT4, algorithm=algorithm, symmetric=symmetric, accuracy_level=1), tmp_path / "model", tiny_checkpoint)
    name, node, initializers = next(one for one in sensitivity.quantized(made.files) if one[0] == DOWN)
    ours = sensitivity.dequantized(node, initializers, made.files)
    inputs = [onnx.TensorProto(name=name) for name in node.input[1:] if name]
    for tensor in inputs:
        tensor.CopyFrom(numpy_helper.from_array(sensitivity._values(initializers[tensor.name], made.files), tensor.name))
    size = ours.shape[1]
    graph = helper.make_graph(
        [node],
        name.replace("/", "_"),
        [helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, [size, size])],
        [helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, [size, ours.shape[0]])],
        inputs,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (runtimes,) = session.run(None, {node.input[0]: np.eye(size, dtype=np.float32)})
    assert np.abs(runtimes.T - ours).max() < 1e-6
