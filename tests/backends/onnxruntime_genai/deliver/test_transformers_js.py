"""Transformers.js is given names, a config.json and a head size in numbers; in Node.js it answers as the package's validation did."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from bakehouse.errors import Failure
from bakehouse.inference.found import find
from tests.support import browser, delivering, lanes, standin
from tests.support.bench import Bench, recipe

pytestmark = pytest.mark.needs_backend("openvino")

IN_A_BROWSER = """
(async () => {
  const { env, pipeline } = await import("/packages/@huggingface/transformers/dist/transformers.min.js");
  Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: "/models/", useBrowserCache: false });
  env.backends.onnx.wasm.wasmPaths = "/packages/onnxruntime-web/dist/";
  const generator = await pipeline("text-generation", "tiny", { device: DEVICE });
  const [answer] = await generator([{ role: "user", content: QUESTION }], { max_new_tokens: 32, do_sample: false });
  return answer.generated_text.at(-1).content;
})()
"""
ADAPTER = "navigator.gpu.requestAdapter().then((adapter) => adapter.info.architecture)"


def graph() -> onnx.ModelProto:
    """A graph with one layer's cache and one external weight, in the builder's words."""
    cache = ["batch_size", 1, "past_sequence_length", "kv_cache_dim"]
    past = helper.make_tensor_value_info("past_key_values.0.key", TensorProto.FLOAT, cache)
    present = helper.make_tensor_value_info("present.0.key", TensorProto.FLOAT, ["batch_size", 1, "total_sequence_length", "kv_cache_dim"])
    weight = TensorProto(name="weight", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": "model.onnx.data", "offset": "0", "length": "8"}.items():
        weight.external_data.add(key=key, value=value)
    node = helper.make_node("Identity", ["past_key_values.0.key"], ["present.0.key"])
    return helper.make_model(helper.make_graph([node], "tiny", [past], [present], [weight]))


def packed(folder: Path, build: str = "int4-ort-cpu", **changes: object) -> Path:
    """A package whose graph is a real one."""
    return delivering.pack(folder, ("phi3", build), graph=graph().SerializeToString(), config=changes)


def test_only_the_head_size_and_the_name_of_the_weights_differ_in_the_graph(tmp_path: Path) -> None:
    record = delivering.deliver(packed(tmp_path / "package"), "transformers-js", out := tmp_path / "out")
    made = onnx.load(out / "onnx" / "model_q4.onnx", load_external_data=False)
    sizes = [value.type.tensor_type.shape.dim[-1] for value in (*made.graph.input, *made.graph.output)]
    assert [size.dim_value for size in sizes] == [delivering.HEAD_SIZE] * 2
    assert made.graph.initializer[0].external_data[0].value == "model_q4.onnx_data"
    for size in sizes:
        size.dim_param = "kv_cache_dim"
    made.graph.initializer[0].external_data[0].value = "model.onnx.data"
    assert made == graph()
    assert [one.path for one in record.replaced] == ["onnx/model_q4.onnx", "tokenizer_config.json"]
    (weights,) = [one for one in record.carried if one.path == "onnx/model_q4.onnx_data"]
    assert weights.package_path.endswith("/model.onnx.data")


def test_the_files_that_the_library_reads_say_what_the_runtimes_own_say(tmp_path: Path) -> None:
    package = packed(tmp_path / "package", type="gptoss", eos_token_id=[2, 0])
    delivering.deliver(package, "transformers-js", out := tmp_path / "out")
    config = json.loads((out / "config.json").read_text())
    assert config["model_type"] == "gpt_oss" and config["eos_token_id"] == [2, 0] and config["head_dim"] == delivering.HEAD_SIZE
    assert config["transformers.js_config"] == {"dtype": "q4", "use_external_data_format": True}
    assert json.loads((out / "generation_config.json").read_text())["eos_token_id"] == [0, 2]
    settings = json.loads((out / "tokenizer_config.json").read_text())
    assert settings == {"eos_token": "<|im_end|>", "chat_template": "{{ messages[0]['content'] }}"}


@pytest.mark.parametrize(
    ("build", "changes", "why"),
    [
        ("int4-ort-directml", {}, "made for cpu or webgpu, and phi3-int4-ort-directml is made for dml"),
        ("int4-ort-cpu", {"type": "chatglm"}, "of the types llama, .*, and phi3-int4-ort-cpu is of the type chatglm"),
    ],
)
def test_what_the_library_does_not_run_is_refused(tmp_path: Path, build: str, changes: dict[str, object], why: str) -> None:
    with pytest.raises(Failure, match=why):
        delivering.deliver(packed(tmp_path / "package", build, **changes), "transformers-js", tmp_path / "out")


@pytest.mark.model
@delivering.needs_node
def test_the_real_library_answers_in_node_by_the_program_of_the_readme(
    tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    packages = lanes.baked(lanes.ONNX, tmp_path_factory, tiny_checkpoint).artifacts / "packages"
    for name in ("tiny-ort", "tiny-ort-fp32"):
        delivering.deliver(packages / name, "transformers-js", out := tmp_path / name)
        (text,) = delivering.blocks(out, "js")
        (verdict,) = find(name, packages).manifest.validation.verdicts
        assert delivering.run_node(text, tmp_path, str(out)) == verdict.answer


def in_a_browser(package: Path, folder: Path, *devices: str) -> list[str]:
    """What the real library answers in a browser on each of these devices; WebGPU is a software driver's."""
    delivering.deliver(package, "transformers-js", (site := folder / "site") / "models" / "tiny")
    (site / "packages").symlink_to(delivering.node_packages() / "node_modules")
    (site / "index.html").write_text("<!doctype html><title>tests</title>")
    program = IN_A_BROWSER.replace("QUESTION", json.dumps(standin.QUESTION))
    with delivering.served(site) as address, browser.opened(folder / "profile", webgpu="webgpu" in devices) as page:
        page.send("Page.navigate", url=f"{address}/index.html")
        while page.evaluate("document.title") != "tests":
            pass
        if "webgpu" in devices:  # without an adapter the library would take another device
            assert page.evaluate(ADAPTER) == "swiftshader"
        return [page.evaluate(program.replace("DEVICE", json.dumps(device))) for device in devices]


@pytest.mark.model
@delivering.needs_node
@browser.needs_browser
def test_the_real_library_answers_in_a_browser_on_wasm(
    tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    packages = lanes.baked(lanes.ONNX, tmp_path_factory, tiny_checkpoint).artifacts / "packages"
    assert in_a_browser(packages / "tiny-ort", tmp_path, "wasm") == [standin.TINY_ANSWERS[standin.QUESTION]]


@pytest.mark.model
@pytest.mark.conformance
@delivering.needs_node
@browser.needs_browser
def test_a_model_for_webgpu_in_fp32_answers_on_webgpu_in_a_browser_as_on_wasm(tiny_checkpoint: Path, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "bench")
    build = {"runtime": "onnxruntime-genai", "execution_provider": "webgpu", "quantization": {"weights": "int4"}, "use_webgpu_fp32": True}
    bench.write(recipe(builds={"webgpu": build}))
    bench.add_model(tiny_checkpoint)
    bench.build("build")
    answers = in_a_browser(bench.artifacts / "packages" / "tiny-webgpu", tmp_path, "webgpu", "wasm")
    assert answers == [standin.TINY_ANSWERS[standin.QUESTION]] * 2
