"""ONNX Runtime GenAI with OpenVINO's execution provider: the same model folder, whose configuration names that provider.

Seen with onnxruntime-ep-openvino 1.8.1 and onnxruntime-openvino 1.24.1: every node runs in OpenVINO but GroupQueryAttention, one a layer,
which stays with ONNX Runtime. `enable_causallm` wants the whole graph as one piece and is therefore refused; it is not written.
The provider that is registered offers itself for Intel's devices only (microsoft/onnxruntime#31981), the build that has it for any CPU.
"""

from __future__ import annotations

import json

from bakehouse.backends.delivery import Code, Layout, Packed, Profile, Text, as_json
from bakehouse.backends.onnxruntime_genai import genai_config, model_folders
from bakehouse.errors import Failure
from bakehouse.recipe.kinds import BuildOptions

_NAME = "openvino-ep"
_GENAI = "onnxruntime-genai==0.18.0"
_PLUGIN = "onnxruntime-ep-openvino==1.8.1"
_WITH_PROVIDER = "onnxruntime-openvino==1.24.1"
_PROGRAM = """\
import json
from importlib.util import find_spec

import onnxruntime_genai as og

if find_spec("onnxruntime_ep_openvino"):  # else onnxruntime-openvino is installed, which has the provider in it
    import onnxruntime_ep_openvino

    og.register_execution_provider_library("OpenVINOExecutionProvider", onnxruntime_ep_openvino.get_library_path())
model = og.Model(".")
tokenizer = og.Tokenizer(model)
stream = tokenizer.create_stream()
chat = {chat}
text = tokenizer.apply_chat_template(json.dumps(chat), add_generation_prompt=True)
tokenizer.update_options(add_special_tokens="false")  # the chat template has added them
ids = tokenizer.encode(text)
parameters = og.GeneratorParams(model)
parameters.set_search_options(do_sample=False, num_beams=1, max_length=len(ids) + {tokens})
generator = og.Generator(model, parameters)
generator.append_tokens(ids)
while not generator.is_done():
    generator.generate_next_token()
    print(stream.decode(generator.get_next_tokens()[0]), end="", flush=True)
"""


def _fits(name: str, builds: tuple[BuildOptions, ...]) -> None:
    build = model_folders.one_model(_NAME, name, builds)
    if build.execution_provider != "cpu":
        raise Failure(
            f"{_NAME} takes a model made for cpu, whose graph OpenVINO was seen to run, and {name} is made for {build.execution_provider}",
            remedy="deliver a build for cpu",
        )


def _layout(packed: Packed) -> Layout:
    model = model_folders.only(packed)
    config, name = model_folders.config_text(packed, model), genai_config.NAME
    config["model"]["decoder"].setdefault("session_options", {})["provider_options"] = [{"OpenVINO": {"device_type": "CPU"}}]
    return Layout(
        carried={path: place for path, place in model.files.items() if path != name},
        written={name: Text(as_json(config), model.files[name], "it names the provider OpenVINO and its device")},
        readme=_readme(packed),
    )


def _readme(packed: Packed) -> tuple[str | Code, ...]:
    chat = json.dumps([{"role": role, "content": content} for role, content in packed.chat], ensure_ascii=False)
    return (
        "The program asks the model one question. On an Intel processor it registers OpenVINO's provider:",
        Code(f"pip install {_GENAI} {_PLUGIN}", "sh"),
        "That provider offers itself to no other maker's processor, where ONNX Runtime GenAI then says `OpenVINO execution provider is not "
        "supported in this build`. A build of ONNX Runtime that has the provider in it runs there; it takes the place of `onnxruntime`:",
        Code(f"pip install {_GENAI}\npip install --force-reinstall --no-deps {_WITH_PROVIDER}", "sh"),
        "Start the program in this folder:",
        Code(_PROGRAM.format(chat=chat, tokens=packed.max_new_tokens), "python"),
        f"It runs on the CPU. For Intel's GPU, write `GPU` for `CPU` at `device_type` in `{genai_config.NAME}`; that was not tried.",
    )


PROFILE = Profile(_NAME, 2, "OpenVINO's execution provider", "a package of one model for ONNX Runtime GenAI on CPU", _fits, _layout)
