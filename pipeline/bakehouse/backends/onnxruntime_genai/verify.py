"""Compares a model folder with what the recipe requests: the graph's interface, genai_config.json and the tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from bakehouse.backends.onnxruntime_genai.genai_config import SEARCH, GenaiConfig, Model, ProviderOptions, named
from bakehouse.backends.onnxruntime_genai.seams import BuildSpec, Graph, RuntimeTokenizer, Tensor
from bakehouse.backends.onnxruntime_genai.source import Source
from bakehouse.backends.onnxruntime_genai.weights import io_type
from bakehouse.backends.onnxruntime_genai.workers import plan as ort_plan
from bakehouse.tasks.text_generation import tokenizer_findings


def judge_data(data: Mapping[str, int], sizes: Mapping[str, int], graph: str = "model.onnx") -> Iterator[str]:
    """Every file of external data is present and as long as the graph says (`data`)."""
    if not data:
        yield f"{graph} refers to no external data"
    for name, end in data.items():
        if sizes.get(name) != end:
            yield f"{name} has {sizes.get(name, 0)} bytes, the model refers to {end}"


def judge_interface(graph: Graph, made: GenaiConfig, spec: BuildSpec) -> Iterator[str]:
    """Inputs and outputs are those that genai_config.json names, of the right types and shapes."""
    decoder = made.model.decoder
    for side, names, tensors in (("inputs", decoder.inputs, graph.inputs), ("outputs", decoder.outputs, graph.outputs)):
        wanted = named(names, decoder.layers_of)
        if wanted != set(tensors):
            differ = sorted(wanted ^ set(tensors))
            yield f"genai_config.json and the model do not name the same {side}: {', '.join(differ[:5])}"
        for name, tensor in tensors.items():
            yield from _judge_tensor(name, tensor, made.model, io_type(spec))


def _judge_tensor(name: str, tensor: Tensor, model: Model, io: str) -> Iterator[str]:
    """One input or output: ids are int64, caches have heads and head size, logits the vocabulary."""
    shape = tensor.shape
    wanted = "int64" if name in ("input_ids", "attention_mask", "position_ids") else io
    if name == "logits" and io == "bfloat16":
        wanted = "float"  # the builder casts them, for what samples from them
    if tensor.type != wanted:
        yield f"{name} is {tensor.type}, should be {wanted}"
    if name == "logits" and shape[-1] != model.vocab_size:
        yield f"the last dimension of logits is {shape[-1]}, should be {model.vocab_size}"
    if name.endswith(".conv"):
        columns = [model.decoder.hidden_size, model.decoder.conv_cache_size]
        if list(shape[1:]) != columns:
            yield f"{name} has shape {list(shape)}, should be [batch_size, {columns[0]}, {columns[1]}]"
    elif name.startswith(("past_key_values.", "present.")):
        heads, size = model.decoder.num_key_value_heads, model.decoder.head_size
        # The fourth may be left open (kv_cache_dim), where the cache may be quantized.
        if len(shape) != 4 or shape[1] != heads or shape[3] not in (size, "kv_cache_dim"):
            yield f"{name} has shape {list(shape)}, should be [batch_size, {heads}, any, {size}]"


def judge_config(made: GenaiConfig, source: Source, spec: BuildSpec) -> Iterator[str]:
    """genai_config.json: end tokens, context, provider and search defaults are the source's and the recipe's."""
    if not source.end_tokens and not made.end_tokens:
        yield "no file of the checkpoint names a token that ends an answer, so answers would not end"
    if short := [token for token in source.end_tokens if token not in made.end_tokens]:
        yield f"genai_config.json lacks the end tokens {short}: answers would not end"
    context, model = ort_plan.plan(source.config, spec).context, made.model
    compared = {
        "context_length": (model.context_length, context),
        "max_length": (made.search.get("max_length"), context),
        "vocab_size": (model.vocab_size, source.config["vocab_size"]),
        "num_hidden_layers": (model.decoder.num_hidden_layers, source.config["num_hidden_layers"]),
        "provider_options": (model.decoder.session_options.provider_options, provider_options(spec)),
        **{name: (made.search.get(name), source.generation.search[name]) for name in SEARCH if name in source.generation.search},
    }
    yield from says_otherwise(compared)


def says_otherwise(compared: Mapping[str, tuple[object, object]]) -> Iterator[str]:
    """A sentence for each value of genai_config.json that is not what it should be; by its name what was found, and what should be."""
    for name, (found, should) in compared.items():
        if found != should:
            yield f"genai_config.json says {name} {json.dumps(found)}, should be {json.dumps(should)}"


def provider_options(spec: BuildSpec) -> ProviderOptions:
    """What genai_config.json should say of the provider (base.py, ep_attrs)."""
    flag = "1" if spec.graph_capture else "0"
    match spec.execution_provider:
        case "dml":
            return ({"dml": {"enable_graph_capture": flag}},)
        case "cuda":
            return ({"cuda": {"enable_cuda_graph": flag}},)
        case "webgpu":
            mode = "disabled" if spec.graph_capture else "basic"
            return ({"webgpu": {"enableGraphCapture": flag, "validationMode": mode}},)
        case "NvTensorRtRtx":
            return ({"NvTensorRtRtx": {"enable_cuda_graph": "1"}},)
        case _:
            return ()


def judge_tokenizer(compared: RuntimeTokenizer, made: GenaiConfig) -> Iterator[str]:
    """The runtime's tokenizer is transformers', and it ends answers at what genai_config.json names."""
    yield from tokenizer_findings.faults("ONNX Runtime GenAI", compared)
    if list(compared.runtime_end_tokens) != made.end_tokens:
        yield f"ONNX Runtime GenAI ends answers at {list(compared.runtime_end_tokens)}, genai_config.json says {made.end_tokens}"
