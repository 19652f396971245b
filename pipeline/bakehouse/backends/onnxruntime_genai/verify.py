"""Holds a model folder of ONNX Runtime GenAI, as ort_graph read it, against what the recipe asked of it."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakehouse.backends.onnxruntime_genai.quantization import LAST
from bakehouse.backends.onnxruntime_genai.workers import plan as ort_plan
from bakehouse.formats import checkpoint as survey
from bakehouse.tasks.text_generation import tokenizer_findings
from bakehouse.tasks.text_generation.seams import TokenizerComparison
from bakehouse.tasks.text_generation.weight_names import ties
from bakehouse.tasks.text_generation.workers import end_tokens as ends

_TYPES = {"fp32": "float", "fp16": "float16", "bf16": "bfloat16"}
_NAMES = {element: name for name, element in _TYPES.items()}
_SUFFIX = re.compile(r"(_matmul)?_Q[48]$")  # what the quantizers append to a node's name
_MIXED = re.compile(r"/model/layers\.(\d+)/(?:attn/(?:qkv|v)_proj|mlp/down_proj)/MatMul")
_GATHERS = ("Gather", "GatherBlockQuantized")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """What the checkpoint says of itself: config.json, generation_config.json, and how many numbers its matrices have.

    `two_heads`: its files hold a last MatMul that is not the embedding, whatever config.json says.
    """

    config: Mapping[str, Any]
    generation: Mapping[str, Any]
    matrix_weights: int | None
    two_heads: bool = False
    end_tokens_of_files: tuple[int, ...] = ()

    @property
    def ties(self) -> bool:
        """Whether embedding and last MatMul are one matrix."""
        return ties(self.config) and not self.two_heads

    @property
    def end_tokens(self) -> list[int]:
        """The ids that end an answer, by the first of the checkpoint's files that names any."""
        return (
            ends.listed(self.generation.get("eos_token_id")) or ends.listed(self.config.get("eos_token_id")) or [*self.end_tokens_of_files]
        )


def read_source(checkpoint: Path, two_heads: bool = False) -> Source:
    """The source as its files say; of a checkpoint that is quantized already the matrices are not counted."""

    def config(name: str) -> Mapping[str, Any]:
        path = checkpoint / name
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    whole = survey.read_checkpoint(checkpoint)
    # Some checkpoints that tie hold the embedding a second time, under the last MatMul's name.
    again = {"lm_head.weight"} if ties(whole.config) and not two_heads else set()
    matrices = sum(math.prod(tensor.shape) for tensor in whole.tensors if len(tensor.shape) == 2 and tensor.name not in again)
    counted = None if "quantization_config" in whole.config else matrices
    return Source(config("config.json"), config("generation_config.json"), counted, two_heads, tuple(ends.of(checkpoint)))


def io_type(options: Mapping[str, Any]) -> str:
    """Element type of what is not quantized, as quant_config.default_io_dtype in the builder has it."""
    weights, provider = options["quantization"]["weights"], options["execution_provider"]
    if weights in ("int4", "int8"):
        return "float" if provider == "cpu" else "float16"
    return _TYPES[weights]


def name_of(row: Row) -> str:
    """The operation's name before it was quantized."""
    return _SUFFIX.sub("", row["name"]).replace("/GatherBlockQuantized", "/Gather")


def described(row: Row) -> str:
    """What a row's weight is, in words."""
    if row["bits"] is None:
        return str(row["type"])
    level = f", accuracy level {row['accuracy_level']}" if row["accuracy_level"] else ""
    zeros = "with" if row["zero_points"] else "without"
    return f"int{row['bits']} in blocks of {row['block_size']} {zeros} zero points{level}, scales in {row['type']}"


def measure(rows: Iterable[Row]) -> dict[str, Any]:
    """Numbers for the manifest and the card: weights by precision, and the MatMuls that have more bits than most."""
    rows = list(rows)
    counts: Counter[str] = Counter()
    for row in rows:
        if row["shape"]:
            counts[_NAMES[row["type"]] if row["bits"] is None else f"int{row['bits']}"] += math.prod(row["shape"])
    matmuls = [row for row in rows if row["op"] not in _GATHERS]
    usual = Counter(described(row) for row in matmuls).most_common(1)[0][0]
    return {
        "weights": dict(sorted(counts.items())),
        "matmul": usual,
        "embedding": ", ".join(sorted({described(row) for row in rows if row["op"] in _GATHERS})) or "shared with the last MatMul",
        "last_matmul": ", ".join(described(row) for row in rows if name_of(row) == LAST),
        "other_precision": [name_of(row) for row in matmuls if described(row) != usual],
    }


def judge_weights(rows: Iterable[Row], source: Source, options: Mapping[str, Any]) -> Iterator[str]:
    """Every matrix has the bits, blocks, zero points, accuracy level and type asked for it, and none is missing."""
    rows = list(rows)
    wrong: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        should = described(_expected(row, source, options))
        if described(row) != should:
            wrong.setdefault((described(row), should), []).append(name_of(row))
    for (found, should), names in wrong.items():
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        yield f"the weight of {names[0]}{more} is {found}, should be {should}"
    yield from _judge_exclusions(rows, source, options)
    own = [row for row in rows if row["op"] in _GATHERS and row["shape"]]
    if bool(own) == shares(source, options):
        yield f"the embedding {'has weights of its own' if own else 'shares those of the last MatMul'}, not what the recipe requests"
    count = sum(math.prod(row["shape"]) for row in rows if row["shape"]) - sum(math.prod(row["shape"]) for row in own if source.ties)
    if source.matrix_weights is not None and count != source.matrix_weights:
        yield f"the model's matrices have {count:,} weights, the checkpoint's {source.matrix_weights:,}"


def _judge_exclusions(rows: Iterable[Row], source: Source, options: Mapping[str, Any]) -> Iterator[str]:
    """Every node that is to be left in floating point is there, and would have been quantized."""
    without = {name_of(row): _unless_excluded(row, source, options) for row in rows}
    for name in options["quantization"].get("nodes_to_exclude", ()):
        if name not in without:
            yield f"there is no {name} to leave in floating point"
        elif without[name]["bits"] is None:
            yield f"{name} would not be quantized in any case, so leaving it in floating point changes nothing"


def shares(source: Source, options: Mapping[str, Any]) -> bool:
    """Whether the embedding should have the last MatMul's weights.

    Those of 8 bits it cannot have, but an int8 build whose last MatMul is left out has them in floating point
    (base.make_tied_embeddings_init).
    """
    asked = options["quantization"]
    if asked["weights"] == "int8":
        return source.ties and LAST in asked["nodes_to_exclude"]
    wish: bool | None = asked["shared_embeddings"]
    return source.ties if wish is None else wish


def _expected(row: Row, source: Source, options: Mapping[str, Any]) -> Row:
    """The row as it should be."""
    if name_of(row) in options["quantization"].get("nodes_to_exclude", ()):
        return _plain(options)
    return _unless_excluded(row, source, options)


def _plain(options: Mapping[str, Any]) -> Row:
    return {"bits": None, "type": io_type(options)}


def _unless_excluded(row: Row, source: Source, options: Mapping[str, Any]) -> Row:
    """The row as it should be if nodes_to_exclude does not name it."""
    asked, name = options["quantization"], name_of(row)
    plain = _plain(options)
    if "block_size" not in asked:
        return plain
    quantized = {**plain, "block_size": asked["block_size"], "zero_points": not asked["symmetric"]}
    if row["op"] not in _GATHERS:
        return quantized | {"bits": _bits(name, source, asked), "accuracy_level": asked["accuracy_level"]}
    if asked["weights"] == "int4" and shares(source, options):
        return quantized | {"bits": _bits(LAST, source, asked), "accuracy_level": 0}
    if "Gather" in asked.get("op_types_to_quantize", ()):
        return quantized | {"bits": 4, "accuracy_level": 0}
    return plain


def _bits(name: str, source: Source, asked: Mapping[str, Any]) -> int:
    mixed = asked.get("matmul_mixed_precision") or {}
    if asked["weights"] == "int8" or (name == LAST and mixed.get("last_matmul")):
        return 8
    found = _MIXED.fullmatch(name)
    return 8 if found and mixed.get("mixed_layers") and _sensitive(int(found[1]), source.config["num_hidden_layers"]) else 4


def _sensitive(layer: int, layers: int) -> bool:
    """The layers that make_matmul_mixed_precision in the builder's base.py takes from llama.cpp."""
    return layer < layers / 8 or layer >= 7 * layers / 8 or (layer - round(layers / 8)) % 3 == 2


def judge_data(graph: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[str]:
    """The external data is there and as long as the graph says."""
    if not graph["data"]:
        yield "model.onnx refers to no external data"
    for name, end in graph["data"].items():
        if sizes.get(name) != end:
            yield f"{name} has {sizes.get(name, 0)} bytes, the model refers to {end}"


def judge_interface(graph: Mapping[str, Any], made: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[str]:
    """Inputs and outputs are those that genai_config.json names, of the right types and shapes."""
    decoder = made["model"]["decoder"]
    for side in ("inputs", "outputs"):
        layers = range(decoder["num_hidden_layers"])
        told = {name for value in decoder[side].values() for name in ([value % layer for layer in layers] if "%d" in value else [value])}
        if told != set(graph[side]):
            differ = sorted(told ^ set(graph[side]))
            yield f"genai_config.json and the model do not name the same {side}: {', '.join(differ[:5])}"
        for name, value in graph[side].items():
            yield from _judge_value(name, value, made["model"], io_type(options))


def _judge_value(name: str, value: Mapping[str, Any], model: Mapping[str, Any], io: str) -> Iterator[str]:
    """One input or output: ids are int64, caches have heads and head size, logits the vocabulary."""
    decoder, shape = model["decoder"], value["shape"]
    wanted = "int64" if name in ("input_ids", "attention_mask", "position_ids") else io
    if name == "logits" and io == "bfloat16":
        wanted = "float"  # the builder casts them, for what samples from them
    if value["type"] != wanted:
        yield f"{name} is {value['type']}, should be {wanted}"
    if name == "logits" and shape[-1] != model["vocab_size"]:
        yield f"the last dimension of logits is {shape[-1]}, should be {model['vocab_size']}"
    if name.startswith(("past_key_values.", "present.")):
        heads, size = decoder["num_key_value_heads"], decoder["head_size"]
        # The fourth may be left open (kv_cache_dim), where the cache may be quantized.
        if len(shape) != 4 or shape[1] != heads or shape[3] not in (size, "kv_cache_dim"):
            yield f"{name} has shape {shape}, should be [batch_size, {heads}, any, {size}]"


def judge_config(made: Mapping[str, Any], source: Source, options: Mapping[str, Any]) -> Iterator[str]:
    """genai_config.json: end tokens, context, provider and search defaults are the source's and the recipe's."""
    model, search = made["model"], made["search"]
    if not source.end_tokens and not end_tokens(made):
        yield "no file of the checkpoint names a token that ends an answer, so answers would not end"
    if short := [token for token in source.end_tokens if token not in end_tokens(made)]:
        yield f"genai_config.json lacks the end tokens {short}: answers would not end"
    context = ort_plan.plan(source.config, options).context
    found = {"context_length": model["context_length"], "max_length": search["max_length"], "vocab_size": model["vocab_size"]}
    should = {"context_length": context, "max_length": context, "vocab_size": source.config["vocab_size"]}
    found["num_hidden_layers"] = model["decoder"]["num_hidden_layers"]
    should["num_hidden_layers"] = source.config["num_hidden_layers"]
    found["provider_options"] = model["decoder"]["session_options"]["provider_options"]
    should["provider_options"] = provider_options(options)
    for name in ort_plan.SEARCH:
        if source.generation.get(name) is not None:
            found[name], should[name] = search[name], source.generation[name]
    for name, value in should.items():
        if found[name] != value:
            yield f"genai_config.json says {name} {json.dumps(found[name])}, should be {json.dumps(value)}"


def provider_options(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What genai_config.json should say of the provider (base.py, ep_attrs)."""
    captures = options["graph_capture"]
    flag = "1" if captures else "0"
    match options["execution_provider"]:
        case "dml":
            return [{"dml": {"enable_graph_capture": flag}}]
        case "cuda":
            return [{"cuda": {"enable_cuda_graph": flag}}]
        case "webgpu":
            return [{"webgpu": {"enableGraphCapture": flag, "validationMode": "disabled" if captures else "basic"}}]
        case "NvTensorRtRtx":
            return [{"NvTensorRtRtx": {"enable_cuda_graph": "1"}}]
        case _:
            return []


def judge_tokenizer(compared: TokenizerComparison, runtime_end_tokens: list[int], made: Mapping[str, Any]) -> Iterator[str]:
    """The runtime's tokenizer is transformers', and it ends answers at what genai_config.json names."""
    yield from tokenizer_findings.faults("ONNX Runtime GenAI", compared)
    if runtime_end_tokens != end_tokens(made):
        yield f"ONNX Runtime GenAI ends answers at {runtime_end_tokens}, genai_config.json says {end_tokens(made)}"


def end_tokens(made: Mapping[str, Any]) -> list[int]:
    """The ids that end an answer by genai_config.json, in order."""
    return ends.listed(made["model"]["eos_token_id"])
