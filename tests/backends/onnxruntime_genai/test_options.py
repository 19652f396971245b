"""Every option of an ONNX build on tiny models: the builder acts on it, verify sees it, and the bytes are those of its own command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.onnxruntime_genai import genai_config
from bakehouse.backends.onnxruntime_genai import source as sources
from bakehouse.backends.onnxruntime_genai import verify as ort_rules
from bakehouse.backends.onnxruntime_genai import weights as ort_weights
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.onnxruntime_genai.quantization import PRECISIONS, MatMulNBits, MixedPrecision, OrtFloat, OrtInt4, OrtInt8
from bakehouse.backends.onnxruntime_genai.seams import BuildSpec, Graph
from tests.support.ort_making import batch, build, make, model_step, sha256

pytestmark = pytest.mark.model

INT4 = {"weights": "int4"}
INT8 = {"weights": "int8"}
SHARED = {"weights": "int4", "shared_embeddings": True}
LAST = "/lm_head/MatMul"
COMMON = {"block_size": 64, "symmetric": False, "accuracy_level": 1, "algorithm": "k_quant", "nodes_to_exclude": [LAST]}
FP32_IO = build("webgpu", **INT4).model_copy(update={"use_webgpu_fp32": True})

DOWN, QKV, O_PROJ = (f"/model/layers.{at}/MatMul" for at in ("0/mlp/down_proj", "1/attn/qkv_proj", "0/attn/o_proj"))
# Pairs of builds that differ in one option: class and field, then what one has and what the other has besides.
WALK: dict[str, tuple[type, str, OnnxRuntimeGenAI, OnnxRuntimeGenAI]] = {
    "provider": (OnnxRuntimeGenAI, "execution_provider", build("cpu", **INT4), build("webgpu", **INT4)),
    "capture-dml": (OnnxRuntimeGenAI, "graph_capture", build("dml", **INT4), build("dml", graph_capture=False, **INT4)),
    "capture-webgpu": (OnnxRuntimeGenAI, "graph_capture", build("webgpu", **INT4), build("webgpu", graph_capture=True, **INT4)),
    "capture-cuda": (OnnxRuntimeGenAI, "graph_capture", build("cuda", **INT4), build("cuda", graph_capture=True, **INT4)),
    "quantization": (OnnxRuntimeGenAI, "quantization", build("dml", **INT4), build("dml", weights="fp16")),
    "float": (OrtFloat, "weights", build("cuda", weights="fp32"), build("cuda", weights="fp16")),
    "bfloat": (OrtFloat, "weights", build("cuda", weights="fp16"), build("cuda", weights="bf16")),
    "bits": (OrtInt8, "weights", build(**INT8), build(**INT4)),
    "bits-4": (OrtInt4, "weights", build(**INT4), build(**INT8)),
    **{
        f"{name}-{fields['weights']}": (kind, name, build(**fields), build(**fields, **{name: value}))
        for kind, fields in ((OrtInt4, INT4), (OrtInt8, INT8))
        for name, value in COMMON.items()
    },
    "fp32-io": (OnnxRuntimeGenAI, "use_webgpu_fp32", build("webgpu", **INT4), FP32_IO),
    "block-16": (OrtInt4, "block_size", build(**INT4), build(**INT4, block_size=16)),
    "block-256": (OrtInt4, "block_size", build(**INT4), build(**INT4, block_size=256)),
    "rtn": (OrtInt4, "algorithm", build(**INT4), build(**INT4, algorithm="rtn")),
    "rtn-int8": (OrtInt8, "algorithm", build(**INT8), build(**INT8, algorithm="rtn")),
    "gather": (OrtInt4, "op_types_to_quantize", build(**INT4), build(**INT4, op_types_to_quantize=["MatMul", "Gather"])),
    "last": (MixedPrecision, "last_matmul", build(**INT4), build(**INT4, matmul_mixed_precision={"last_matmul": "int8"})),
    "mixed": (MixedPrecision, "mixed_layers", build(**INT4), build(**INT4, matmul_mixed_precision={"mixed_layers": "int8"})),
    "both": (
        OrtInt4,
        "matmul_mixed_precision",
        build(**INT4, algorithm="k_quant"),
        build(**INT4, algorithm="k_quant", matmul_mixed_precision={"mixed_layers": "int8", "last_matmul": "int8"}),
    ),
    "by-name": (OrtInt4, "int8_nodes", build(**INT4), build(**INT4, int8_nodes=[DOWN, QKV])),
    "by-name-k_quant": (OrtInt4, "int8_nodes", build(**INT4, algorithm="k_quant"), build(**INT4, algorithm="k_quant", int8_nodes=[QKV])),
    "by-name-webgpu": (OrtInt4, "int8_nodes", build("webgpu", **INT4), build("webgpu", **INT4, int8_nodes=[DOWN])),
    "by-name-beside": (
        OrtInt4,
        "int8_nodes",
        build(**INT4, nodes_to_exclude=[O_PROJ], matmul_mixed_precision={"last_matmul": "int8"}),
        build(**INT4, nodes_to_exclude=[O_PROJ], matmul_mixed_precision={"last_matmul": "int8"}, int8_nodes=[DOWN]),
    ),
    "qdq": (OrtInt4, "use_qdq", build(**INT4, accuracy_level=None), build(**INT4, use_qdq=True)),
    "qdq-asym": (OrtInt4, "symmetric", build(**INT4, use_qdq=True), build(**INT4, use_qdq=True, symmetric=False)),
}  # fmt: skip
# Only a model whose embedding and last MatMul are one matrix shows these.
TIED: dict[str, tuple[type, str, OnnxRuntimeGenAI, OnnxRuntimeGenAI]] = {
    "shared": (OrtInt4, "shared_embeddings", build(**INT4), build(**INT4, shared_embeddings=False)),
    "shared-float": (OrtFloat, "shared_embeddings", build("dml", weights="fp16"), build("dml", weights="fp16", shared_embeddings=False)),
    "shared-k_quant": (OrtInt4, "algorithm", build(**SHARED), build(**SHARED, algorithm="k_quant")),
    "shared-last": (
        MixedPrecision,
        "last_matmul",
        build(**INT4, algorithm="rtn"),
        build(**INT4, algorithm="rtn", matmul_mixed_precision={"last_matmul": "int8"}),
    ),
    "shared-by-name": (OrtInt4, "int8_nodes", build(**INT4), build(**INT4, int8_nodes=[DOWN])),
    "shared-int8": (OrtInt8, "algorithm", build(**INT8), build(**INT8, algorithm="rtn")),
    "shared-int8-last": (OrtInt8, "nodes_to_exclude", build(**INT8), build(**INT8, nodes_to_exclude=[LAST])),
    "not-shareable": (OrtInt4, "symmetric", build(**INT4), build(**INT4, symmetric=False)),
}  # fmt: skip
PAIRS = {(provider, weights): build(provider, weights=weights) for provider, all_weights in PRECISIONS.items() for weights in all_weights}
# What shows in the numbers only, not in the graph's attributes.
NUMBERS_ONLY = {"algorithm"}


def named(walk: dict[str, tuple[type, str, OnnxRuntimeGenAI, OnnxRuntimeGenAI]]) -> dict[str, OnnxRuntimeGenAI]:
    return {f"{name}-{side}": one for name, (_, _, *pair) in walk.items() for side, one in zip("ab", pair, strict=True)}


@pytest.fixture(scope="module")
def tied_checkpoint(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with the embedding as its last MatMul; what it says is of no use."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("tied") / "checkpoint"
    shutil.copytree(tiny_checkpoint, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}), encoding="utf-8")
    tensors = load_file(folder / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def walked(
    tiny_checkpoint: Path, tied_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, dict[str, Any], Path]]:
    """Every build by name: its files, what the worker reports, and its checkpoint; and upstream's."""
    folder = tmp_path_factory.mktemp("walk")
    plain = named(WALK) | {f"{provider}-{weights}": one for (provider, weights), one in PAIRS.items()}
    made = {}
    for checkpoint, builds in ((tiny_checkpoint, plain), (tied_checkpoint, named(TIED))):
        found = batch(folder, checkpoint, builds, tuple(builds))
        made |= {name: (folder / name, found[name], checkpoint) for name in builds}
    return made


def faults(files: Path, found: dict[str, Any], checkpoint: Path, one: OnnxRuntimeGenAI) -> list[str]:
    """What verify finds in a made model when this build was requested, without the tokenizer."""
    spec, source = model_step(one).spec_as(BuildSpec), sources.read(checkpoint)
    graph, config = Graph.model_validate(found["graph"]), genai_config.read(files)
    return [
        *ort_rules.judge_data(graph.data, {path.name: path.stat().st_size for path in files.iterdir()}),
        *ort_weights.judge(graph.weights, source, spec),
        *ort_rules.judge_interface(graph, config, spec),
        *ort_rules.judge_config(config, source, spec),
    ]


BUILDS = {**named(WALK), **{f"{provider}-{weights}": one for (provider, weights), one in PAIRS.items()}, **named(TIED)}


@pytest.mark.parametrize("name", BUILDS)
def test_what_is_built_is_what_was_requested(name: str, walked: dict[str, tuple[Path, dict[str, Any], Path]]) -> None:
    assert faults(*walked[name], BUILDS[name]) == []


@pytest.mark.parametrize("name", BUILDS)
def test_the_bytes_are_those_of_the_builders_own_command_line(name: str, walked: dict[str, tuple[Path, dict[str, Any], Path]]) -> None:
    files = walked[name][0]
    for file in ("model.onnx.data", "model.onnx", "genai_config.json", "tokenizer.json", "tokenizer_config.json"):
        assert sha256(files / file) == sha256(files.parent / f"upstream-{name}" / file), file


@pytest.mark.parametrize("name", [*WALK, *TIED])
def test_every_option_changes_what_is_built(name: str, walked: dict[str, tuple[Path, dict[str, Any], Path]]) -> None:
    one, other = walked[f"{name}-a"], walked[f"{name}-b"]
    differ = [file for file in ("model.onnx.data", "model.onnx", "genai_config.json") if sha256(one[0] / file) != sha256(other[0] / file)]
    assert differ


@pytest.mark.parametrize("name", [*WALK, *TIED])
def test_verify_would_find_the_one_in_place_of_the_other(name: str, walked: dict[str, tuple[Path, dict[str, Any], Path]]) -> None:
    _, field, one, other = (WALK | TIED)[name]
    if field in NUMBERS_ONLY and "k_quant" not in name:
        pytest.skip("only the numbers differ")
    swapped = faults(*walked[f"{name}-a"], other)
    if field != "algorithm" or one.quantization.symmetric != other.quantization.symmetric:  # type: ignore[union-attr]
        assert swapped
    assert faults(*walked[f"{name}-b"], one)


# Which change no file; ratio is what a search begins with and no build has.
JUDGED = ("runtime", "bounds", "proven_on", "unknown_architecture", "min_agreement", "min_agreement_reason", "ratio")


def test_the_walk_has_every_field() -> None:
    known = {(kind, field) for kind, field, _, _ in (WALK | TIED).values()}
    for kind in (OnnxRuntimeGenAI, OrtFloat, OrtInt8, OrtInt4, MixedPrecision):
        shared = MatMulNBits.model_fields if issubclass(kind, MatMulNBits) else {}
        wanted = {field for field in kind.model_fields if field not in JUDGED}
        assert {field for field in wanted if (kind, field) not in known} == set(), (kind, shared)


def test_another_run_in_another_process_gives_the_same_bytes(
    walked: dict[str, tuple[Path, dict[str, Any], Path]], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    made = make(build(**INT4), tmp_path, tiny_checkpoint)
    assert made.verification.faults == ()
    files = walked["cpu-int4"][0]
    names = ("model.onnx", "model.onnx.data", "genai_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
    assert sorted(path.name for path in made.files.iterdir()) == sorted(names)
    assert made.result.mended == {"tokenizer.json": "digits split by a regular expression"}
    for name in names:
        assert (sha256(made.files / name) == sha256(files / name)) == (name != "tokenizer.json"), name


def test_a_model_whose_type_ties_by_default_is_made_and_verified(tiny_checkpoint: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, SmolLM3Config

    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint, checkpoint, ignore=shutil.ignore_patterns("*.safetensors", "generation_config.json"))
    sizes = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    tiny = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    same = {name: tiny[name] for name in ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id", "max_position_embeddings")}
    AutoModelForCausalLM.from_config(SmolLM3Config(**sizes, **same)).save_pretrained(checkpoint)
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    assert config.pop("tie_word_embeddings")  # earlier releases of transformers do not write it where it is the default
    (checkpoint / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert make(build(**INT4), tmp_path / "made", checkpoint).verification.faults == ()
