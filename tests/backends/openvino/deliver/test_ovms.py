"""OpenVINO Model Server is given a repository of one model, with a graph that MediaPipe's own classes read."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bakehouse.errors import Failure
from bakehouse.package.manifest import read
from tests.support import delivering

# Later wheels do not have the classes of graphs.
MEDIAPIPE = {"mediapipe==0.10.21": "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"}
# The fields of the server's LLMCalculatorOptions that are used (src/llm/llm_calculator.proto, 2026.3): number and type.
FIELDS = {
    "models_path": (1, "STRING"),
    "cache_size": (3, "UINT64"),
    "max_num_seqs": (4, "UINT64"),
    "device": (6, "STRING"),
    "plugin_config": (7, "STRING"),
    "enable_prefix_caching": (10, "BOOL"),
}
# The wheel's own __init__ imports what is not installed here.
PROGRAM = """
import json, sys, types
package = types.ModuleType("mediapipe")
package.__path__ = [sys.argv[1] + "/mediapipe"]
sys.modules["mediapipe"] = package
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from mediapipe.framework import calculator_pb2
from mediapipe.framework.stream_handler import sync_set_input_stream_handler_pb2
Field = descriptor_pb2.FieldDescriptorProto
file = descriptor_pb2.FileDescriptorProto(name="llm.proto", package="mediapipe", syntax="proto2")
options = file.message_type.add(name="LLMCalculatorOptions")
for name, (number, kind) in json.loads(sys.argv[3]).items():
    options.field.add(name=name, number=number, type=getattr(Field, f"TYPE_{kind}"), label=Field.LABEL_OPTIONAL)
pool = descriptor_pool.Default()
pool.AddSerializedFile(file.SerializeToString())
graph = calculator_pb2.CalculatorGraphConfig()
with open(sys.argv[2], encoding="utf-8") as text:
    text_format.Parse(text.read(), graph, descriptor_pool=pool)
(node,) = graph.node
llm = message_factory.GetMessageClass(pool.FindMessageTypeByName("mediapipe.LLMCalculatorOptions"))()
assert node.node_options[0].Unpack(llm)
handler = node.input_stream_handler.options.Extensions[sync_set_input_stream_handler_pb2.SyncSetInputStreamHandlerOptions.ext]
print(json.dumps({
    "graph": [list(graph.input_stream), list(graph.output_stream)],
    "node": [node.calculator, list(node.input_stream), list(node.output_stream), list(node.input_side_packet)],
    "back": [[one.tag_index, one.back_edge] for one in node.input_stream_info],
    "handler": [node.input_stream_handler.input_stream_handler, [list(one.tag_index) for one in handler.sync_set]],
    "options": {field.name: value for field, value in llm.ListFields()},
}))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return delivering.pack(tmp_path / "package", ("phi3", "int4-openvino"))


def test_the_model_lies_in_a_folder_of_its_name_that_the_servers_list_names(package: Path, tmp_path: Path) -> None:
    record = delivering.deliver(package, "ovms", out := tmp_path / "out")
    name = "phi3-int4-openvino"
    assert json.loads((out / "config.json").read_text()) == {"model_config_list": [{"config": {"name": name, "base_path": name}}]}
    model = {path.name for path in (out / name).iterdir()}
    files = {"openvino_model.xml", "openvino_model.bin", "openvino_tokenizer.xml", "openvino_detokenizer.xml", "chat_template.jinja"}
    assert files | {"graph.pbtxt", "config.json", "LICENSE"} <= model
    assert not record.replaced and [one.path for one in record.added] == ["README.md", "config.json", f"{name}/graph.pbtxt"]


def test_the_server_gives_the_runtime_what_the_recipe_gives_it(package: Path, tmp_path: Path) -> None:
    delivering.deliver(package, "ovms", out := tmp_path / "out")
    assert read(package).build.options.model_dump(mode="json")["runtime_options"] == {"EXECUTION_MODE_HINT": "ACCURACY"}
    assert """plugin_config: '{"EXECUTION_MODE_HINT": "ACCURACY"}'\n""" in (out / "phi3-int4-openvino" / "graph.pbtxt").read_text()


def test_the_readme_has_a_command_with_and_without_a_container_and_a_request(package: Path, tmp_path: Path) -> None:
    delivering.deliver(package, "ovms", out := tmp_path / "out")
    docker, bare, _ = delivering.blocks(out, "sh")
    assert docker.startswith("docker run ") and docker.endswith(" --config_path /models/config.json --rest_port 8000")
    assert bare == "ovms --config_path config.json --rest_port 8000"
    (body,) = delivering.blocks(out, "json")
    assert json.loads(body)["model"] == "phi3-int4-openvino"


def test_the_server_keeps_prompts_unless_the_recipe_says_otherwise(package: Path, tmp_path: Path) -> None:
    other = delivering.pack(tmp_path / "other", ("phi3", "int4-openvino"), options={"runtime_options": {"enable_prefix_caching": False}})
    for source, keeps in ((package, "true"), (other, "false")):
        delivering.deliver(source, "ovms", out := tmp_path / f"out-{keeps}")
        graph = (out / "phi3-int4-openvino" / "graph.pbtxt").read_text()
        assert f"enable_prefix_caching: {keeps}\n" in graph and "PREFIX" not in graph.upper().replace("ENABLE_PREFIX_CACHING", "")


def test_a_build_for_another_kind_of_attention_is_refused(tmp_path: Path) -> None:
    options = {"runtime_options": {"ATTENTION_BACKEND": "SDPA"}}
    package = delivering.pack(tmp_path / "package", ("phi3", "int4-openvino"), options=options)
    with pytest.raises(Failure, match="The server computes attention paged, and phi3-int4-openvino is made to be run with ATTENTION"):
        delivering.deliver(package, "ovms", tmp_path / "out")


@pytest.mark.model  # it converts nothing, and fetches a wheel
@pytest.mark.skipif(sys.platform != "linux" or sys.version_info[:2] != (3, 11), reason="the pinned wheel is for Linux and Python 3.11")
def test_mediapipe_reads_the_graph_and_finds_the_servers_calculator_in_it(package: Path, tmp_path: Path) -> None:
    delivering.deliver(package, "ovms", out := tmp_path / "out")
    site = delivering.distributions("mediapipe", MEDIAPIPE)
    graph = out / "phi3-int4-openvino" / "graph.pbtxt"
    said = delivering.run_python(PROGRAM, tmp_path, None, tmp_path / "home", str(site), str(graph), json.dumps(FIELDS))
    assert json.loads(said) == {
        "graph": [["HTTP_REQUEST_PAYLOAD:input"], ["HTTP_RESPONSE_PAYLOAD:output"]],
        "node": [
            "HttpLLMCalculator",
            ["LOOPBACK:loopback", "HTTP_REQUEST_PAYLOAD:input"],
            ["LOOPBACK:loopback", "HTTP_RESPONSE_PAYLOAD:output"],
            ["LLM_NODE_RESOURCES:llm", "LLM_NODE_EXECUTION_CONTEXTS:llm_ctx"],
        ],
        "back": [["LOOPBACK:0", True]],
        "handler": ["SyncSetInputStreamHandler", [["LOOPBACK:0"]]],
        "options": {
            "models_path": "./",
            "cache_size": 0,
            "max_num_seqs": 256,
            "device": "CPU",
            "plugin_config": '{"EXECUTION_MODE_HINT": "ACCURACY"}',
            "enable_prefix_caching": True,
        },
    }
