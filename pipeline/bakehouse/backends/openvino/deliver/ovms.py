"""OpenVINO Model Server: a repository of models whose config.json names a folder with the model and its graph of MediaPipe.

Read in openvinotoolkit/model_server 2026.3: what demos/common/export_models/export_model.py writes for text generation, and the fields
of src/llm/llm_calculator.proto. The server reads the chat template of the folder, and computes attention paged.
"""

from __future__ import annotations

import json

from pydantic import JsonValue

from bakehouse.backends.delivery import Code, Layout, Packed, Profile, Text, as_json
from bakehouse.backends.openvino.options import DRAFT, OpenVINO, given, of_the_plugin
from bakehouse.errors import Failure
from bakehouse.recipe.kinds import BuildOptions

_NAME = "ovms"
_PORT = 8000
_ATTENTION = "ATTENTION_BACKEND"
_DOCKER = f'docker run --rm -p {_PORT}:{_PORT} -v "$PWD":/models:ro openvino/model_server:latest'
_TOP = ("README.md", "recipe.yaml")  # what is about the package and not the model's; licences lie next to the model
# Only the LLM's options differ from model to model; the rest is how the server wires a graph that answers piece by piece.
_GRAPH = """\
input_stream: "HTTP_REQUEST_PAYLOAD:input"
output_stream: "HTTP_RESPONSE_PAYLOAD:output"
node {
  name: "LLMExecutor"
  calculator: "HttpLLMCalculator"
  input_side_packet: "LLM_NODE_RESOURCES:llm"
  input_side_packet: "LLM_NODE_EXECUTION_CONTEXTS:llm_ctx"
  input_stream: "LOOPBACK:loopback"
  input_stream: "HTTP_REQUEST_PAYLOAD:input"
  output_stream: "LOOPBACK:loopback"
  output_stream: "HTTP_RESPONSE_PAYLOAD:output"
  input_stream_info { tag_index: "LOOPBACK:0" back_edge: true }
  input_stream_handler {
    input_stream_handler: "SyncSetInputStreamHandler"
    options {
      [mediapipe.SyncSetInputStreamHandlerOptions.ext] { sync_set { tag_index: "LOOPBACK:0" } }
    }
  }
  node_options {
    [type.googleapis.com/mediapipe.LLMCalculatorOptions] {
      models_path: "./"
      device: "CPU"
      plugin_config: PLUGIN_CONFIG
DRAFT      enable_prefix_caching: CACHING
      cache_size: 0
      max_num_seqs: 256
    }
  }
}
"""


def _fits(name: str, builds: tuple[BuildOptions, ...]) -> None:
    (build,) = builds  # models for OpenVINO are in no bundle
    assert isinstance(build, OpenVINO)
    if build.adapters_are_separate():
        what = f"{name} has adapters next to it, and no field of the server's graph names such files"
        raise Failure(what, remedy="deliver a build with `adapters: merged`")
    if given(build.runtime_options).get(_ATTENTION, "PA") != "PA":
        raise Failure(
            f"the server computes attention paged, and {name} is made to be run with {_ATTENTION}=SDPA",
            remedy="deliver a build without that option",
        )


def _layout(packed: Packed) -> Layout:
    (build,) = packed.builds
    assert isinstance(build, OpenVINO)
    options = of_the_plugin(given(build.runtime_options))
    caching = build.runtime_options.enable_prefix_caching if build.runtime_options else None
    name = packed.name
    draft = f'      draft_models_path: "./{DRAFT}"\n      draft_device: "CPU"\n' if build.draft else ""
    graph = (
        _GRAPH.replace("CACHING", "false" if caching is False else "true")
        .replace("DRAFT", draft)
        .replace("PLUGIN_CONFIG", f"'{json.dumps(options)}'")
    )
    entry: dict[str, JsonValue] = {"model_config_list": [{"config": {"name": name, "base_path": name}}]}
    return Layout(
        carried={f"{name}/{path}": path for path in packed.files if path not in _TOP},
        written={"config.json": Text(as_json(entry)), f"{name}/graph.pbtxt": Text(graph)},
        readme=_readme(packed, options),
    )


def _readme(packed: Packed, options: dict[str, str | int]) -> tuple[str | Code, ...]:
    name = packed.name
    chat = [{"role": role, "content": content} for role, content in packed.chat]
    body = {"model": name, "messages": chat, "max_completion_tokens": packed.max_new_tokens, "temperature": 0}
    given_to = f" The runtime is given {json.dumps(options)}, as the package's own program gives it." if options else ""
    return (
        f"This folder is a repository with one model, `{name}`, which runs on the CPU.{given_to} For a GPU, write `GPU` for `CPU` in "
        f"`{name}/graph.pbtxt`. Start the server in this folder, in a container:",
        Code(f"{_DOCKER} --config_path /models/config.json --rest_port {_PORT}", "sh"),
        "or, where the server is installed:",
        Code(f"ovms --config_path config.json --rest_port {_PORT}", "sh"),
        "Ask it, with this in `request.json`:",
        Code(json.dumps(body, indent=2, ensure_ascii=False), "json"),
        Code(f"curl http://localhost:{_PORT}/v3/chat/completions -H 'Content-Type: application/json' -d @request.json", "sh"),
        "A server that has models already takes the entry of `config.json` into its `model_config_list`, with the path of this folder's "
        f"`{name}` as `base_path`.",
    )


PROFILE = Profile(_NAME, 1, "OpenVINO Model Server", "a package for OpenVINO", _fits, _layout)
