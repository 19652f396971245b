"""The ONNX Runtime GenAI backend as data: steps, the builder's options, folder names, what verify finds, what does not fit."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.onnxruntime_genai import backend as ort_genai
from bakehouse.backends.onnxruntime_genai import preflight as ort_fit
from bakehouse.backends.onnxruntime_genai import source as ort_source
from bakehouse.backends.onnxruntime_genai import verify as ort_rules
from bakehouse.backends.onnxruntime_genai import weights as ort_weights
from bakehouse.backends.onnxruntime_genai import words as ort_words
from bakehouse.backends.onnxruntime_genai.genai_config import Decoder, GenaiConfig
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.onnxruntime_genai.seams import BuildSpec, GenerateRequest, Graph, Matrix, Measured, RuntimeTokenizer, Tensor
from bakehouse.backends.onnxruntime_genai.source import Generation, Source
from bakehouse.backends.onnxruntime_genai.workers import build as ort_build
from bakehouse.backends.onnxruntime_genai.workers import plan as ort_plan
from bakehouse.backends.onnxruntime_genai.workers import tokenizer as ort_tokenizer
from bakehouse.backends.table import BACKENDS
from bakehouse.formats import checkpoint
from bakehouse.formats.checkpoint import Survey
from bakehouse.recipe import agreement
from bakehouse.steps.seam import Report
from bakehouse.tasks.text_generation import seams as generation
from bakehouse.tasks.text_generation import weight_names
from bakehouse.tasks.workers.tokenizer_difference import DifferentIds
from tests.support.ort_making import build, model_step, spec

INT4 = {"weights": "int4"}
SOURCE = Source(
    {"num_hidden_layers": 1, "vocab_size": 64, "max_position_embeddings": 512},
    Generation((2, 0), {"temperature": 0.7}),
    None,
    end_tokens=(0, 2),
)
TIED = replace(SOURCE, config={**SOURCE.config, "tie_word_embeddings": True})
LAST = "/lm_head/MatMul"
DOWN = "/model/layers.0/mlp/down_proj/MatMul"


# --- steps and commands ---------------------------------------------------------------------------


def test_the_table_names_the_module() -> None:
    assert BACKENDS["onnxruntime-genai"] is ort_genai


def test_every_option_is_spelled_out_in_the_step() -> None:
    assert model_step(build("dml", **INT4)).options == {
        "execution_provider": "dml",
        "graph_capture": True,
        "quantization": {
            "weights": "int4",
            "block_size": 32,
            "symmetric": True,
            "accuracy_level": 0,
            "algorithm": "default",
            "nodes_to_exclude": [],
            "op_types_to_quantize": ["MatMul"],
            "matmul_mixed_precision": None,
            "shared_embeddings": None,
            "use_qdq": False,
        },
        "remote_code": False,
    }


def test_what_does_not_change_the_bytes_is_not_part_of_the_key() -> None:
    one = build(**INT4)
    assert model_step(one).key == model_step(one.model_copy(update={"min_agreement": 8})).key
    assert model_step(one).key != model_step(build(**INT4, block_size=64)).key


def test_all_tools_that_change_bytes_are_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = model_step(build(**INT4)).tools
    assert {"onnxruntime", "onnxruntime-genai", "onnx", "onnx-ir", "numpy", "tokenizers", "torch", "transformers"} == tools.keys()
    newer = tmp_path / "onnxruntime_genai-99.0.dist-info"
    newer.mkdir()
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-genai\nVersion: 99.0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert model_step(build(**INT4)).tools == {**tools, "onnxruntime-genai": "99.0"}


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ort_genai.missing(build(**INT4)) is None
    monkeypatch.setattr(sys, "path", [])
    assert ort_genai.missing(build(**INT4)) == snapshot(
        "numpy, onnx, onnx-ir, onnxruntime, onnxruntime-genai, tokenizers, torch, transformers "
        "not installed: install Bakehouse with its extra `build`"
    )


def test_any_one_of_the_runtimes_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("numpy", "onnx", "onnx_ir", "onnxruntime", "tokenizers", "torch", "transformers", "onnxruntime_genai_winml")
    for name in names:
        (tmp_path / f"{name}-1.0.dist-info").mkdir()
        (tmp_path / f"{name}-1.0.dist-info/METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert ort_genai.missing(build(**INT4)) is None
    assert ort_genai.generate_tools(build(**INT4)) == {"onnxruntime-genai-winml": "1.0", "onnxruntime": "1.0"}


def test_the_builder_gets_every_option_and_none_that_it_would_ignore() -> None:
    one = spec(build("dml", **INT4, nodes_to_exclude=[LAST], block_size=64, symmetric=False))
    assert ort_words.extra_options(one) == (
        "accuracy_level=0",
        "algo_config=default",
        "block_size=64",
        "enable_dml_graph=true",
        "nodes_to_exclude=/lm_head/MatMul",
        "op_types_to_quantize=MatMul",
        "shared_embeddings=false",
        "is_symmetric=false",
        "use_qdq=false",
    )
    assert ort_words.extra_options(spec(build("NvTensorRtRtx", weights="fp16"))) == ()
    assert "hf_remote=true" in ort_words.extra_options(one.model_copy(update={"remote_code": True}))


def test_the_command_says_how_to_do_it_by_hand() -> None:
    mixed = {"last_matmul": "int8", "mixed_layers": "int8"}
    one = build(**INT4, algorithm="k_quant", matmul_mixed_precision=mixed, op_types_to_quantize=["MatMul"])
    assert ort_genai.command(model_step(one), {"checkpoint": Path("in")}, Path("out")).upstream == snapshot(
        "python -m onnxruntime_genai.models.builder -i MODEL -o OUT -c CACHE -p int4 -e cpu --extra_options accuracy_level=4 "
        "algo_config=k_quant block_size=32 matmul_mixed_precision=last_matmul:int8,mixed_layers:int8 op_types_to_quantize=MatMul "
        "is_symmetric=false use_qdq=false"
    )
    assert ort_words.upstream(spec(build(weights="fp32"))).endswith(" -p fp32 -e cpu")


FOLDERS: dict[str, OnnxRuntimeGenAI] = {
    "cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4": build(**INT4),
    "cpu_and_mobile/cpu-int4-rtn-block-128-acc-level-1-asym": build(**INT4, block_size=128, accuracy_level=1, symmetric=False),
    "cpu_and_mobile/cpu-int4-k-quant-block-32-acc-level-4-last-matmul-int8-mixed-layers-int8": build(
        **INT4, algorithm="k_quant", matmul_mixed_precision={"last_matmul": "int8", "mixed_layers": "int8"}
    ),
    "cpu_and_mobile/cpu-int4-rtn-nc-block-32-acc-level-4": build(**INT4, algorithm="rtn"),
    "cpu_and_mobile/cpu-int4-rtn-block-32-qdq": build(**INT4, use_qdq=True),
    "cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4-embedding": build(**INT4, op_types_to_quantize=["Gather", "MatMul"]),
    "cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4-without-lm_head-MatMul": build(**INT4, nodes_to_exclude=[LAST]),
    "cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4-own-embedding": build(**INT4, shared_embeddings=False),
    "cpu_and_mobile/cpu-int8-rtn-block-32-acc-level-4": build(weights="int8"),
    "directml/directml-int4-rtn-block-32": build("dml", **INT4),
    "directml/directml-fp16": build("dml", weights="fp16"),
    "directml/directml-fp16-no-graph-capture": build("dml", graph_capture=False, weights="fp16"),
    "cuda/cuda-fp16": build("cuda", weights="fp16"),
    "cuda/cuda-fp16-graph-capture": build("cuda", graph_capture=True, weights="fp16"),
    "webgpu/webgpu-int4-rtn-block-32-acc-level-4": build("webgpu", **INT4),
    "webgpu/webgpu-int4-rtn-block-32-acc-level-4-fp32-io": build("webgpu", **INT4).model_copy(update={"use_webgpu_fp32": True}),
    "nvtensorrtrtx/nvtensorrtrtx-bf16": build("NvTensorRtRtx", weights="bf16"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_are_named_as_microsoft_names_them(name: str) -> None:
    assert FOLDERS[name].folder() == name


def excluding(count: int) -> OnnxRuntimeGenAI:
    return build(**INT4, nodes_to_exclude=[LAST, *(f"/model/layers.{layer}/mlp/down_proj/MatMul" for layer in range(count))])


def test_a_folder_name_stays_short_and_its_own_however_much_is_excluded() -> None:
    base = "cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4-without-lm_head-MatMul"
    assert excluding(1).folder() == f"{base}-62570b2b"
    long = [*(excluding(count) for count in (1, 2, 8, 32)), build(**INT4, nodes_to_exclude=["/" + "n" * 300])]
    long += [build(**INT4, algorithm="rtn", symmetric=False, nodes_to_exclude=["é" * 99, "/" + "x" * 300])]
    names = [one.folder().partition("/")[2] for one in long]
    assert len(set(names)) == len(long)
    assert max(len(name.encode()) for name in names) < 100


def test_the_package_has_the_builders_files_in_that_folder(tmp_path: Path) -> None:
    for name in ("model.onnx", "genai_config.json"):
        (tmp_path / name).touch()
    assert ort_genai.layout(build("dml", weights="fp16"), {"model": tmp_path, "checkpoint": Path("x")}) == {
        "directml/directml-fp16/genai_config.json": tmp_path / "genai_config.json",
        "directml/directml-fp16/model.onnx": tmp_path / "model.onnx",
    }


def test_a_model_is_run_where_it_lies_and_its_device_has_its_common_name() -> None:
    one = build("dml", weights="fp16")
    command = ort_genai.generate(one, {}, generation.GenerateRequest(model=Path("package"), prompts=(), answers=Path("answers")))
    assert command.argv[2:] == ("bakehouse.backends.onnxruntime_genai.workers.generate",)
    assert command.request == GenerateRequest(
        model=Path("package/directml/directml-fp16"), prompts=(), answers=Path("answers"), device="DirectML"
    )
    assert ort_genai.targets(one) == ("DirectML",)


SAME: dict[str, tuple[OnnxRuntimeGenAI, OnnxRuntimeGenAI]] = {
    "defaults given and left out": (build(**INT4), build(**INT4, block_size=32, symmetric=True, accuracy_level=4, algorithm="default")),
    "k_quant's zero points": (build(**INT4, algorithm="k_quant"), build(**INT4, algorithm="k_quant", symmetric=False)),
    "the order of nodes": (build(**INT4, nodes_to_exclude=["b", "a", "b"]), build(**INT4, nodes_to_exclude=["a", "b"])),
    "the order of types": (
        build(**INT4, op_types_to_quantize=["Gather", "MatMul"]),
        build(**INT4, op_types_to_quantize=["MatMul", "Gather", "MatMul"]),
    ),
    "graph capture on DirectML": (build("dml", weights="fp16"), build("dml", graph_capture=True, weights="fp16")),
    "embeddings that cannot be shared": (build(**INT4, use_qdq=True), build(**INT4, use_qdq=True, shared_embeddings=False)),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME.keys())
def test_two_builds_that_mean_the_same_are_the_same_step(one: OnnxRuntimeGenAI, other: OnnxRuntimeGenAI) -> None:
    assert model_step(one).key == model_step(other).key
    assert one.normal().normal() == one.normal()
    assert OnnxRuntimeGenAI.model_validate_json(json.dumps(one.normal().model_dump(mode="json"))) == one.normal()


@pytest.mark.parametrize("name", FOLDERS)
def test_a_spec_comes_to_the_worker_as_it_is(name: str) -> None:
    made = spec(FOLDERS[name])
    assert BuildSpec.model_validate_json(made.model_dump_json()) == made


# --- what verify finds ----------------------------------------------------------------------------


def row(of: str = DOWN, op: str = "MatMulNBits", **changes: Any) -> Matrix:
    """A MatMul of a CPU model in 4 bits; `bits=None` is one in floating point."""
    usual = {"bits": 4, "block_size": 32, "zero_points": False, "accuracy_level": 4, "type": "float", "shape": (8, 8)}
    return Matrix.model_validate({"name": f"{of}_Q4", "op": op, **usual, **changes})


def plain(name: str, kind: str = "float", op: str = "MatMul") -> Matrix:
    return row(name, op, name=name, bits=None, block_size=None, accuracy_level=0, type=kind)


EMBEDDING = plain("/model/embed_tokens/Gather", op="Gather")
GOOD = (EMBEDDING, row(), row(LAST))


def weights(rows: tuple[Matrix, ...], one: OnnxRuntimeGenAI, source: Source = SOURCE) -> list[str]:
    return list(ort_weights.judge(rows, source, spec(one)))


def test_a_model_as_requested_has_no_faults() -> None:
    assert weights(GOOD, build(**INT4)) == []


NOT_AS_REQUESTED: dict[str, tuple[tuple[Matrix, ...], OnnxRuntimeGenAI, str]] = {
    "bits": (
        (EMBEDDING, row(), row(LAST, bits=8)),
        build(**INT4),
        "the weight of /lm_head/MatMul is int8 in blocks of 32 without zero points, accuracy level 4, scales in float, "
        "should be int4 in blocks of 32 without zero points, accuracy level 4, scales in float",
    ),
    "block size, of two": (
        (EMBEDDING, row(block_size=128), row(LAST, block_size=128)),
        build(**INT4),
        f"the weight of {DOWN} (and 1 more) is int4 in blocks of 128 without zero points, accuracy level 4, scales in float, "
        "should be int4 in blocks of 32 without zero points, accuracy level 4, scales in float",
    ),
    "zero points": (
        (EMBEDDING, row(), row(LAST, zero_points=True)),
        build(**INT4),
        "the weight of /lm_head/MatMul is int4 in blocks of 32 with zero points, accuracy level 4, scales in float, "
        "should be int4 in blocks of 32 without zero points, accuracy level 4, scales in float",
    ),
    "accuracy level": (
        (EMBEDDING, row(), row(LAST, accuracy_level=0)),
        build(**INT4),
        "the weight of /lm_head/MatMul is int4 in blocks of 32 without zero points, scales in float, "
        "should be int4 in blocks of 32 without zero points, accuracy level 4, scales in float",
    ),
    "not quantized": (
        (EMBEDDING, row(), plain(LAST)),
        build(**INT4),
        "the weight of /lm_head/MatMul is float, should be int4 in blocks of 32 without zero points, accuracy level 4, scales in float",
    ),
    "quantized although excluded": (
        GOOD,
        build(**INT4, nodes_to_exclude=[LAST]),
        "the weight of /lm_head/MatMul is int4 in blocks of 32 without zero points, accuracy level 4, scales in float, should be float",
    ),
    "excluded what is not there": (GOOD, build(**INT4, nodes_to_exclude=["/x"]), "there is no /x to leave in floating point"),
    "the io type": (
        (plain("/model/embed_tokens/Gather", "float16", "Gather"), plain(DOWN, "float16"), plain(LAST)),
        build("dml", weights="fp16"),
        "the weight of /lm_head/MatMul is float, should be float16",
    ),
    "an embedding of its own": (
        GOOD,
        build(weights="fp32", shared_embeddings=True),
        "the embedding has weights of its own, not what the recipe requests",
    ),
}


@pytest.mark.parametrize("case", NOT_AS_REQUESTED)
def test_what_is_not_as_requested_is_a_fault(case: str) -> None:
    rows, one, fault = NOT_AS_REQUESTED[case]
    assert fault in weights(rows, one)


def test_a_shared_embedding_is_quantized_as_the_last_matmul_is() -> None:
    shared = row(
        "/model/embed_tokens", "GatherBlockQuantized", name="/model/embed_tokens/GatherBlockQuantized", accuracy_level=0, shape=None
    )
    assert weights((shared, row(), row(LAST)), build(**INT4), TIED) == []
    assert weights((EMBEDDING, row(), row(LAST)), build(**INT4, shared_embeddings=False), TIED) == []
    assert weights((shared, row(), row(LAST)), build(**INT4, shared_embeddings=False), TIED)


def test_an_excluded_node_that_would_not_be_quantized_in_any_case_is_a_fault() -> None:
    one = spec(build(**INT4))
    quantization = one.quantization.model_copy(update={"nodes_to_exclude": ("/model/embed_tokens/Gather",)})
    assert list(ort_weights.judge(GOOD, SOURCE, one.model_copy(update={"quantization": quantization}))) == snapshot(
        ["/model/embed_tokens/Gather would not be quantized in any case, so leaving it in floating point changes nothing"]
    )


def test_a_last_matmul_that_is_left_out_of_eight_bits_serves_as_a_tied_embedding() -> None:
    without = build(weights="int8", nodes_to_exclude=[LAST])
    assert weights((row(bits=8), plain(LAST)), without, TIED) == []
    assert weights((EMBEDDING, row(bits=8), plain(LAST)), without) == []
    assert weights((EMBEDDING, row(bits=8), row(LAST, bits=8)), build(weights="int8"), TIED) == []


def test_a_config_that_does_not_say_it_ties_as_its_model_type_does_by_default() -> None:
    shared = row("/model/embed_tokens", "GatherBlockQuantized", accuracy_level=0, shape=None)
    for fields, ties in (({}, True), ({"tie_word_embeddings": True}, True), ({"tie_word_embeddings": False}, False)):
        source = replace(SOURCE, config={**SOURCE.config, "model_type": "gemma2", **fields})
        assert (weights((shared, row(), row(LAST)), build(**INT4), source) == []) == ties
        assert (weights(GOOD, build(**INT4), source) == []) == (not ties)


@pytest.mark.model
def test_transformers_ties_by_default_what_the_table_says() -> None:
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    types = {name for name, kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items() if kind in ort_fit.ARCHITECTURES}
    assert types >= weight_names.TIED_BY_DEFAULT
    for name in types:
        assert AutoConfig.for_model(name).tie_word_embeddings == weight_names.ties({"model_type": name}), name


def test_the_most_sensitive_layers_get_eight_bits() -> None:
    mixed = build(**INT4, matmul_mixed_precision={"mixed_layers": "int8"})
    layers = range(16)
    source = replace(SOURCE, config={**SOURCE.config, "num_hidden_layers": 16})
    eight = {0, 1, 4, 7, 10, 13, 14, 15}
    rows = tuple(row(f"/model/layers.{layer}/mlp/down_proj/MatMul", bits=8 if layer in eight else 4) for layer in layers)
    assert weights((EMBEDDING, *rows, row(LAST)), mixed, source) == []
    assert weights((EMBEDDING, *rows[:2], row(LAST)), build(**INT4), source)


def test_a_weight_that_is_not_in_the_model_is_missed() -> None:
    source = replace(SOURCE, matrix_weights=3 * 64)
    assert weights(GOOD, build(**INT4), source) == []
    assert weights(GOOD[:2], build(**INT4), source) == snapshot(["the model's matrices have 128 weights, the checkpoint's 192"])


@pytest.mark.parametrize("ties", [True, False])
def test_an_embedding_that_is_stored_a_second_time_is_counted_once_where_it_is_tied(ties: bool, tmp_path: Path) -> None:
    shapes = {"model.embed_tokens.weight": [10, 4], "lm_head.weight": [10, 4], "model.layers.0.q_proj.weight": [4, 4]}
    header = json.dumps({name: {"dtype": "U8", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (tmp_path / "config.json").write_text(json.dumps({"tie_word_embeddings": ties}), encoding="utf-8")
    assert ort_source.read(tmp_path).matrix_weights == (56 if ties else 96)


def test_the_measured_facts_count_weights_and_name_what_has_other_bits() -> None:
    assert ort_weights.measure((*GOOD, row("/a", bits=8))).model_dump(mode="json") == {
        "weights": {"fp32": 64, "int4": 128, "int8": 64},
        "matmul": "int4 in blocks of 32 without zero points, accuracy level 4, scales in float",
        "embedding": "float",
        "last_matmul": "int4 in blocks of 32 without zero points, accuracy level 4, scales in float",
        "other_precision": ["/a"],
    }


def test_the_length_that_agreement_reads_is_among_the_measured_facts() -> None:
    assert agreement.kept(4096).keys() <= Measured.model_fields.keys()


def made(**changes: Any) -> dict[str, Any]:
    """A genai_config.json of a CPU model with one layer."""
    model = {
        "eos_token_id": [2, 0],
        "context_length": 512,
        "vocab_size": 64,
        "decoder": {
            "session_options": {"provider_options": []},
            "head_size": 4,
            "inputs": {"input_ids": "input_ids", "past_key_names": "past_key_values.%d.key"},
            "outputs": {"logits": "logits", "present_key_names": "present.%d.key"},
            "num_hidden_layers": 1,
            "num_key_value_heads": 2,
        },
    }
    return {"model": {**model, **changes}, "search": {"max_length": 512, "temperature": 0.7}}


INTERFACE: dict[str, dict[str, Tensor]] = {
    "inputs": {
        "input_ids": Tensor(type="int64", shape=("batch_size", "sequence_length")),
        "past_key_values.0.key": Tensor(type="float", shape=("batch_size", 2, "past_sequence_length", 4)),
    },
    "outputs": {
        "logits": Tensor(type="float", shape=("batch_size", "sequence_length", 64)),
        "present.0.key": Tensor(type="float", shape=("batch_size", 2, "total_sequence_length", 4)),
    },
}


def interface(side: str = "inputs", name: str = "input_ids", **changes: Any) -> list[str]:
    """What is wrong of a graph with this change of one input or output."""
    tensor = INTERFACE[side].get(name, Tensor(type="float", shape=())).model_copy(update=changes)
    graph = Graph.model_validate({"weights": (), "data": {}, **INTERFACE, side: {**INTERFACE[side], name: tensor}})
    return list(ort_rules.judge_interface(graph, GenaiConfig.model_validate(made()), spec(build(**INT4))))


def test_inputs_and_outputs_are_compared_with_genai_config() -> None:
    assert interface() == []
    assert interface("inputs", "extra") == snapshot(["genai_config.json and the model do not name the same inputs: extra"])
    assert interface("inputs", "input_ids", type="int32") == snapshot(["input_ids is int32, should be int64"])
    assert interface("outputs", "logits", type="float16") == snapshot(["logits is float16, should be float"])
    assert interface("outputs", "logits", shape=("b", "s", 63)) == snapshot(["the last dimension of logits is 63, should be 64"])
    assert interface("outputs", "present.0.key", shape=("b", 1, "t", 4)) == snapshot(
        ["present.0.key has shape ['b', 1, 't', 4], should be [batch_size, 2, any, 4]"]
    )


def config(found: dict[str, Any], one: OnnxRuntimeGenAI | None = None, source: Source = SOURCE) -> list[str]:
    return list(ort_rules.judge_config(GenaiConfig.model_validate(found), source, spec(one or build(**INT4))))


def test_genai_config_is_compared_with_the_source_and_the_recipe() -> None:
    assert config(made()) == []
    assert config(made(eos_token_id=2)) == snapshot(["genai_config.json lacks the end tokens [0]: answers would not end"])
    assert config(made(context_length=256)) == snapshot(["genai_config.json says context_length 256, should be 512"])
    assert config(made(), build("dml", **INT4)) == snapshot(
        ['genai_config.json says provider_options [], should be [{"dml": {"enable_graph_capture": "1"}}]']
    )
    warm = {**made(), "search": {"max_length": 512, "temperature": 1.0}}
    assert config(warm) == snapshot(["genai_config.json says temperature 1.0, should be 0.7"])
    endless = Source(SOURCE.config, Generation(), None)
    assert config(made(), source=endless) == []  # the builder takes the tokenizer's
    nothing = ["no file of the checkpoint names a token that ends an answer, so answers would not end"]
    assert config(made(eos_token_id=[]), source=endless) == nothing


def test_external_data_must_be_complete() -> None:
    assert list(ort_rules.judge_data({"model.onnx.data": 10}, {"model.onnx.data": 10})) == []
    assert list(ort_rules.judge_data({"model.onnx.data": 10}, {"model.onnx.data": 9})) == snapshot(
        ["model.onnx.data has 9 bytes, the model refers to 10"]
    )
    assert list(ort_rules.judge_data({}, {})) == snapshot(["model.onnx refers to no external data"])


def tokenizer(**changes: Any) -> list[str]:
    """What is wrong of a tokenizer that is right but for these changes."""
    right = {"texts": 1, "chats": 0, "differences": (), "eos_token_id": 2, "turn_end_id": 0, "runtime_end_tokens": (0, 2)}
    compared = RuntimeTokenizer.model_validate(right | changes)
    return list(ort_rules.judge_tokenizer(compared, GenaiConfig.model_validate(made())))


def test_a_tokenizer_must_agree_with_transformers_and_with_the_end_tokens() -> None:
    assert tokenizer() == []
    assert tokenizer(differences=(DifferentIds("é", [1], [2]),)) == snapshot(
        [
            "the tokenizer of ONNX Runtime GenAI differs from transformers' in 1 of 1 texts: "
            '"é" has the ids [2] in place of [1] from token 0 on. '
            "Build for another runtime, or take a checkpoint whose tokenizer.json this one reads"
        ]
    )
    assert tokenizer(turn_end_id=7) == []  # of interest where chats are requested
    assert tokenizer(differences=(DifferentIds("é", [1], [2], "NFC"),)) == []
    assert tokenizer(runtime_end_tokens=(2,)) == snapshot(["ONNX Runtime GenAI ends answers at [2], genai_config.json says [0, 2]"])


def test_what_was_not_made_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    found = ort_genai.verify(model_step(build(**INT4)), {"checkpoint": tmp_path}, tmp_path, Report({}))
    names = ("genai_config.json", "model.onnx.data", "tokenizer.json", "tokenizer_config.json")
    assert found.faults == tuple(f"{name} was not made" for name in names)


# --- what the worker fixes ------------------------------------------------------------------------


def test_end_tokens_and_search_defaults_that_the_builder_leaves_out_are_put_in(tmp_path: Path) -> None:
    path = tmp_path / "genai_config.json"
    path.write_text(json.dumps({"model": {"eos_token_id": 2}, "search": {"repetition_penalty": 1.0, "top_k": 50}}), encoding="utf-8")
    fields = {"eos_token_id": [2, 0], "repetition_penalty": 1.1, "top_k": None, "cache_implementation": "static"}
    (tmp_path / "generation_config.json").write_text(json.dumps(fields), encoding="utf-8")
    generation = ort_source.generation(tmp_path)
    assert ort_build.fix_config(tmp_path, generation) == {"eos_token_id": [2, 0], "repetition_penalty": 1.1}
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "model": {"eos_token_id": [2, 0]},
        "search": {"repetition_penalty": 1.1, "top_k": 50},
    }
    before = path.read_bytes()
    assert ort_build.fix_config(tmp_path, generation) == {}
    assert path.read_bytes() == before


def test_the_model_may_be_as_long_as_its_context_whatever_the_generation_config_says(tmp_path: Path) -> None:
    path = tmp_path / "genai_config.json"
    path.write_text(json.dumps(made()), encoding="utf-8")
    fields = {"eos_token_id": [2, 0], "temperature": 0.7, "max_length": 20, "chunk_size": 3}
    (tmp_path / "generation_config.json").write_text(json.dumps(fields), encoding="utf-8")
    generation = ort_source.generation(tmp_path)
    assert generation == SOURCE.generation
    assert ort_build.fix_config(tmp_path, generation) == {}
    assert json.loads(path.read_text(encoding="utf-8")) == made()
    assert config(made()) == []


def test_without_a_generation_config_the_end_tokens_of_config_json_count(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"eos_token_id": 5, "temperature": 0.1}', encoding="utf-8")
    assert ort_source.generation(tmp_path) == Generation((5,))
    (tmp_path / "generation_config.json").write_text('{"top_k": 3}', encoding="utf-8")
    assert ort_source.generation(tmp_path) == Generation((5,), {"top_k": 3})


DIGITS = {"type": "Digits", "individual_digits": True}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def test_digits_before_byte_level_become_regular_expressions(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [DIGITS, BYTES]}}), encoding="utf-8")
    assert ort_tokenizer.fix_digits(tmp_path)
    steps = json.loads(path.read_text(encoding="utf-8"))["pre_tokenizer"]["pretokenizers"]
    assert [step["type"] for step in steps] == ["Split", "Split", "ByteLevel"]
    assert [step.get("pattern") for step in steps] == [{"Regex": r"\p{N}"}, {"Regex": ort_tokenizer.GPT2}, None]
    assert steps[2] == {**BYTES, "use_regex": False}
    assert not ort_tokenizer.fix_digits(tmp_path)


@pytest.mark.parametrize("steps", [None, BYTES, {"type": "Sequence", "pretokenizers": [BYTES]}])
def test_other_tokenizers_are_left_as_they_are(steps: Any, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"pre_tokenizer": steps}), encoding="utf-8")
    assert not ort_tokenizer.fix_digits(tmp_path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"pre_tokenizer": steps}


# --- what does not fit ----------------------------------------------------------------------------


def survey(**config: Any) -> Survey:
    tensors = (
        checkpoint.Tensor(name="model.embed_tokens.weight", dtype="BF16", shape=(1000, 64)),
        checkpoint.Tensor(name="a", dtype="BF16", shape=(64, 64)),
    )
    return Survey(download_bytes=0, config={"architectures": ["Phi3ForCausalLM"], **config}, tensors=tensors)


UNFIT: dict[str, tuple[OnnxRuntimeGenAI, dict[str, Any], str]] = {
    "architecture": (
        build(**INT4),
        {"architectures": ["MambaForCausalLM"]},
        "no MambaForCausalLM of the model builder of onnxruntime-genai 0.18 has been shown to work; "
        "with `unknown_architecture: try` the build tries it",
    ),
    "nothing to share": (
        build(**INT4, shared_embeddings=True),
        {},
        "shared_embeddings needs a model whose embedding and last MatMul are one matrix, and in this one they are two",
    ),
    "nothing to gather": (
        build(**INT4, op_types_to_quantize=["MatMul", "Gather"]),
        {"tie_word_embeddings": True},
        "the embedding has the last MatMul's weights in this model, so Gather in op_types_to_quantize would change nothing",
    ),
    "nothing to gather, by the model type's default": (
        build(**INT4, op_types_to_quantize=["MatMul", "Gather"]),
        {"model_type": "smollm3"},
        "the embedding has the last MatMul's weights in this model, so Gather in op_types_to_quantize would change nothing",
    ),
    "nothing to share, against the model type's default": (
        build(**INT4, shared_embeddings=True),
        {"model_type": "smollm3", "tie_word_embeddings": False},
        "shared_embeddings needs a model whose embedding and last MatMul are one matrix, and in this one they are two",
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_cannot_work_with_this_checkpoint_is_refused_before_the_download(case: str) -> None:
    one, config, reason = UNFIT[case]
    assert ort_fit.preflight(one, survey(**config)) == (reason,)


@pytest.mark.parametrize(
    ("size", "kind", "provider", "divisor"),
    [
        (12, "LlamaForCausalLM", "cpu", 8),
        (40, "LlamaForCausalLM", "cpu", None),
        (40, "SmolLM3ForCausalLM", "cpu", 16),
        (12, "HunYuanDenseV1ForCausalLM", "cpu", 8),
        (40, "HunYuanDenseV1ForCausalLM", "cpu", None),
        (80, "LlamaForCausalLM", "cpu", None),
        (24, "LlamaForCausalLM", "dml", None),
    ],
)
def test_heads_that_the_attention_operator_refuses_are_refused(size: int, kind: str, provider: str, divisor: int | None) -> None:
    one = build(provider, weights="int4")
    reasons = ort_fit.preflight(one, survey(architectures=[kind], hidden_size=4 * size, num_attention_heads=4))
    wanted = f"ONNX Runtime's GroupQueryAttention takes heads of a multiple of {divisor} numbers, and this model's have {size}"
    assert reasons == ((wanted,) if divisor else ())


def test_smollm3_is_refused_for_directml_alone() -> None:
    for provider in ("cpu", "dml"):
        reasons = ort_fit.preflight(build(provider, weights="int4"), survey(architectures=["SmolLM3ForCausalLM"]))
        assert bool(reasons) == (provider == "dml")


def test_what_fits_is_not_refused() -> None:
    assert ort_fit.preflight(build(**INT4), survey()) == ()
    assert ort_fit.preflight(build(**INT4, shared_embeddings=True), survey(tie_word_embeddings=True)) == ()
    assert ort_fit.preflight(build(**INT4, shared_embeddings=True), survey(model_type="gemma2")) == ()


def test_the_builder_knows_every_architecture_that_is_let_in() -> None:
    spec = importlib.util.find_spec("onnxruntime_genai")
    assert spec and spec.submodule_search_locations
    text = (Path(next(iter(spec.submodule_search_locations))) / "models/builder.py").read_text(encoding="utf-8")
    assert [name for name in ort_fit.ARCHITECTURES if f'"{ort_plan.ALIKE.get(name, name)}"' not in text] == []
    assert ort_plan.ALIKE.keys() <= ort_fit.ARCHITECTURES


def test_an_architecture_that_no_list_has_is_tried_where_the_recipe_says_so() -> None:
    tries = build(weights="fp32").model_copy(update={"unknown_architecture": "try"})
    assert ort_fit.preflight(tries, survey(architectures=["ArceeForCausalLM"])) == ()


def test_experts_are_refused_in_integers() -> None:
    of_experts = survey(architectures=["GptOssForCausalLM"])
    assert ort_fit.preflight(build(weights="fp32"), of_experts) == ()
    assert ort_fit.preflight(build(**INT4), of_experts) == snapshot(
        ("the experts of a GptOssForCausalLM that the model builder quantizes cannot be verified here: write weights fp32 or fp16",)
    )


def test_a_gemma_3_has_rotary_embeddings_that_differ_in_their_base_only() -> None:
    plain, scaled = ({"rope_type": kind, "rope_theta": 10_000.0} for kind in ("default", "linear"))
    for full, refused in ((plain, False), (scaled, True)):
        both = {"sliding_attention": plain, "full_attention": full}
        config = survey(architectures=["Gemma3ForCausalLM"], model_type="gemma3_text", rope_parameters=both)
        assert bool(ort_fit.preflight(build(**INT4), config)) == refused


def test_layers_that_convolve_have_other_caches() -> None:
    decoder = Decoder(num_hidden_layers=3, layer_types=("conv", "full_attention", "conv"))
    assert (decoder.layers_of("past_conv_names"), decoder.layers_of("past_key_names")) == ([0, 2], [1])
    assert Decoder(num_hidden_layers=2).layers_of("past_key_names") == [0, 1]


def test_the_estimate_of_the_disk_is_near_what_is_made() -> None:
    # Phi-3-mini's shape: 3.82e9 weights, of which the embedding's 98.5e6 stay in the io type. Microsoft's int4 cpu file has 2.7 GB.
    hidden, inner, layers, vocabulary = 3072, 8192, 32, 32064
    shapes = [(3 * hidden, hidden), (hidden, hidden), (2 * inner, hidden), (hidden, inner)] * layers
    tensors = [checkpoint.Tensor(name="model.embed_tokens.weight", dtype="BF16", shape=(vocabulary, hidden))]
    tensors += [
        checkpoint.Tensor(name=f"w{number}", dtype="BF16", shape=shape) for number, shape in enumerate([*shapes, (vocabulary, hidden)])
    ]
    whole = Survey(download_bytes=0, config={}, tensors=tuple(tensors))
    assert 2.6e9 < ort_fit.made_bytes(spec(build(**INT4)), whole) < 2.8e9
    assert ort_fit.made_bytes(spec(build("dml", weights="fp16")), whole) == 2 * whole.parameters
    takes = ort_fit.estimate(model_step(build(**INT4)), whole)
    assert 4e9 < takes.memory_bytes < 6e9 and takes.scratch_bytes == takes.disk_bytes - 2**30
