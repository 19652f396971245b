"""Transformers.js: graph and weights under `onnx/`, named after their precision, with a config.json and the chat template in its place.

Read in @huggingface/transformers 4.3.1. Its first cache has the shape of the graph's inputs, and a size with a name is taken for 0
(src/models/modeling_utils.js, resolveCacheShape), so the head size must be a number there. In a browser the weights are given to the
runtime under the name that the library has for them, `<graph>_data` (src/utils/model-loader.js), so the graph must call them so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bakehouse.backends.base import runtime_is_installed
from bakehouse.backends.delivery import Code, Layout, Packed, Profile, Remade, Text, as_json
from bakehouse.backends.onnxruntime_genai import model_folders
from bakehouse.backends.onnxruntime_genai.model_folders import Model
from bakehouse.backends.onnxruntime_genai.seams import FixHeadRequest
from bakehouse.errors import Failure
from bakehouse.recipe.kinds import BuildOptions
from bakehouse.recipe.types import printable
from bakehouse.steps.maker import Command, worker

_NAME, _LIBRARY = "transformers-js", "@huggingface/transformers@4.3.1"
# The library's word for a precision -> what it appends to a file's name (src/utils/dtypes.js).
_SUFFIXES = {"fp32": "", "fp16": "_fp16", "int8": "_int8", "q4": "_q4", "q4f16": "_q4f16"}
# The types of genai_config.json that it has a class for (src/models/registry.js), under its own names.
_TYPES = {
    **{name: name for name in ("llama", "mistral", "phi", "phi3", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text")},
    **{name: name for name in ("olmo", "granite", "smollm3", "ernie4_5")},
    "gptoss": "gpt_oss",
}
_PROGRAM = """\
import path from "node:path";
import {{ env, pipeline }} from "@huggingface/transformers";

const folder = path.resolve(process.argv[2]); // this folder
env.allowRemoteModels = false;
env.localModelPath = path.dirname(folder);
const generator = await pipeline("text-generation", path.basename(folder));
const chat = {chat};
const [answer] = await generator(chat, {{ max_new_tokens: {tokens}, do_sample: false }});
console.log(answer.generated_text.at(-1).content);
"""


def _fits(name: str, builds: tuple[BuildOptions, ...]) -> None:
    build = model_folders.one_model(_NAME, name, builds)
    if build.execution_provider not in ("cpu", "webgpu"):
        raise _refusal(f"a model made for cpu or webgpu, and {name} is made for {build.execution_provider}")
    if build.quantization.weights == "bf16":
        raise _refusal(f"weights in fp32, fp16, int8 or int4, and {name} has bf16")


def _layout(packed: Packed) -> Layout:
    model = model_folders.only(packed)
    _refuse(packed, model)
    files, dtype = model.files, _dtype(model)
    graph = f"onnx/model{_SUFFIXES[dtype]}.onnx"
    data = f"{graph}_data"
    moved = {"model.onnx": graph, "model.onnx.data": data}
    settings = model_folders.json_file(packed, files["tokenizer_config.json"]) | {
        "chat_template": packed.text(files["chat_template.jinja"])
    }
    why = "it has the chat template, which is in a file of its own there"
    return Layout(
        carried={moved.get(name, name): path for name, path in files.items() if name not in ("model.onnx", "tokenizer_config.json")},
        written={
            "config.json": Text(as_json(_config(packed, model, dtype))),
            "generation_config.json": Text(as_json({"eos_token_id": list(model.config.end_tokens), "do_sample": False})),
            "tokenizer_config.json": Text(as_json(settings), files["tokenizer_config.json"], why),
        },
        remade={graph: Remade(files["model.onnx"], f"its head size is a number, and it calls the file of its weights {Path(data).name}")},
        remake=lambda folder: _fix_head(packed.folder / files["model.onnx"], folder / graph, model),
        readme=_readme(packed, model, dtype),
    )


def _refuse(packed: Packed, model: Model) -> None:
    """Refuse what the library cannot run, or what was never seen to run in it."""
    if model.kind not in _TYPES:
        raise _refusal(f"models of the types {', '.join(_TYPES)}, and {packed.name} is of the type {printable(model.kind)}")
    if "chat_template.jinja" not in model.files:
        raise _refusal(f"a model with a chat template, and {packed.name} has none")
    runtime_is_installed(["onnx"])  # which writes the graph


def _refusal(takes: str) -> Failure:
    return Failure(f"{_NAME} takes {takes}", remedy="deliver another build, or another model")


def _dtype(model: Model) -> str:
    """The library's word for the precision."""
    build = model.build
    in_fp16 = build.execution_provider == "webgpu" and not build.use_webgpu_fp32
    return ("q4f16" if in_fp16 else "q4") if build.quantization.weights == "int4" else build.quantization.weights


def _config(packed: Packed, model: Model, dtype: str) -> dict[str, Any]:
    """A config.json with what the library reads, out of genai_config.json."""
    known, decoder = model_folders.config_text(packed, model)["model"], model.config.model.decoder
    return {
        "model_type": _TYPES[model.kind],
        "hidden_size": decoder.hidden_size,
        "head_dim": decoder.head_size,
        "num_attention_heads": known["decoder"]["num_attention_heads"],
        "num_key_value_heads": decoder.num_key_value_heads,
        "num_hidden_layers": decoder.num_hidden_layers,
        "vocab_size": model.config.model.vocab_size,
        "max_position_embeddings": model.config.model.context_length,
        "bos_token_id": known.get("bos_token_id"),
        "eos_token_id": known.get("eos_token_id"),
        "pad_token_id": known.get("pad_token_id"),
        "transformers.js_config": {"dtype": dtype, "use_external_data_format": True},
    }


def _fix_head(source: Path, target: Path, model: Model) -> Command:
    request = FixHeadRequest(graph=source, target=target, data=f"{target.name}_data", head_size=model.config.model.decoder.head_size)
    return worker("backends.onnxruntime_genai.workers.fix_head", request=request)


def _readme(packed: Packed, model: Model, dtype: str) -> tuple[str | Code, ...]:
    chat = json.dumps([{"role": role, "content": content} for role, content in packed.chat], ensure_ascii=False)
    webgpu = ' It is made for WebGPU: give `pipeline` the option `{ device: "webgpu" }`.'
    device = webgpu if model.build.execution_provider == "webgpu" else ""
    return (
        f"The model's precision is `{dtype}`, which `config.json` says.{device} In Node.js, in a folder of your own:",
        Code(f"npm install {_LIBRARY}", "sh"),
        "Save this there as `ask.mjs` and run `node ask.mjs FOLDER`, with the path of this folder:",
        Code(_PROGRAM.format(chat=chat, tokens=packed.max_new_tokens), "js"),
        "In a browser, serve this folder, name the one above it in `env.localModelPath` and set `env.allowLocalModels`; or put it on the "
        "Hugging Face hub and name the repository. On WASM a browser refuses an embedding in 4 bits (GatherBlockQuantized), which an int4 "
        "model has where its source ties the embeddings and the build does not say `shared_embeddings: false`.",
    )


PROFILE = Profile(_NAME, 1, "Transformers.js", "a package of one model for ONNX Runtime GenAI on CPU or WebGPU", _fits, _layout)
