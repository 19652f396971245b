"""ONNX Runtime's own model package: a variant for each execution provider, and the tokenizer once, named by its content.

Read in onnxruntime-genai (docs/model_package.md) and ONNX Runtime (model_package/README.md): a `manifest.json` with one component,
called "model" by convention, and no genai_config.json at the top. Shared files are folders named by the sha256 of a
list of their files and sha256s; `model.tokenizer_dir` refers to one.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter

from pydantic import JsonValue

from bakehouse.backends.delivery import Code, Layout, Packed, Profile, Text, as_json
from bakehouse.backends.onnxruntime_genai import genai_config, model_folders
from bakehouse.backends.onnxruntime_genai.model_folders import Model
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.errors import Failure
from bakehouse.recipe.kinds import BuildOptions

_NAME = "ort-model-package"
_COMPONENT = "model"
# Of a provider, ONNX Runtime's name and the kind of its device.
_PROVIDERS = {
    "cpu": ("CPUExecutionProvider", "cpu"),
    "dml": ("DmlExecutionProvider", "gpu"),
    "cuda": ("CUDAExecutionProvider", "gpu"),
    "webgpu": ("WebGpuExecutionProvider", "gpu"),
    "NvTensorRtRtx": ("NvTensorRTRTXExecutionProvider", "gpu"),
}
_OF_THE_MODEL = (genai_config.NAME, "model.onnx", "model.onnx.data")  # what a variant has of its own
_PROGRAM = """\
import onnxruntime_genai as og

model = og.Model(og.Config.from_package_ep(".", {provider}))
"""


def _fits(name: str, builds: tuple[BuildOptions, ...]) -> None:
    """Two variants of a provider differ by a word that only the provider can read, and there is none for such builds."""
    providers = Counter(build.execution_provider for build in builds if isinstance(build, OnnxRuntimeGenAI))
    (provider, times), *_ = providers.most_common(1)
    if times > 1:
        raise Failure(
            f"{_NAME} takes one model for each provider, and {name} has {times} for {provider}",
            remedy="deliver a bundle with one build for each provider, or one of the builds",
        )


def _layout(packed: Packed) -> Layout:
    models = model_folders.all_of(packed)
    carried: dict[str, str] = {}
    same: dict[str, str] = {}
    written: dict[str, Text] = {}
    for model in models:
        variant, asset = model.build.execution_provider, _asset(packed, model)
        for name, path in model.files.items():
            place = f"{variant}/{name}" if name in _OF_THE_MODEL else f"shared_assets/sha256-{asset}/{name}"
            if name == genai_config.NAME:
                written[place] = _config(packed, model, asset)
            elif place in carried:
                same[path] = place
            else:
                carried[place] = path
    written["manifest.json"] = Text(as_json(_manifest(packed, models)))
    return Layout(carried=carried, same=same, written=written, readme=_readme(models))


def _asset(packed: Packed, model: Model) -> str:
    """The name, by content, of the folder with what variants may share: sha256 over lines of sha256, two spaces and path."""
    shared = sorted((name, packed.files[path]) for name, path in model.files.items() if name not in _OF_THE_MODEL)
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in shared).encode()).hexdigest()


def _config(packed: Packed, model: Model, asset: str) -> Text:
    config = model_folders.config_text(packed, model)
    config["model"]["tokenizer_dir"] = f"sha256:{asset}"
    return Text(as_json(config), model.files[genai_config.NAME], "it says where the tokenizer is")


def _manifest(packed: Packed, models: tuple[Model, ...]) -> dict[str, JsonValue]:
    variants: dict[str, JsonValue] = {}
    for model in models:
        ep, device = _PROVIDERS[model.build.execution_provider]
        variants[model.build.execution_provider] = {"ep": ep, "device": device, "executor_info": {"ort": {"model_file": "model.onnx"}}}
    return {"schema_version": "1.0", "package_name": packed.name, "components": {_COMPONENT: {"variants": variants}}}


def _readme(models: tuple[Model, ...]) -> tuple[str | Code, ...]:
    titles = ", ".join(f"`{model.build.execution_provider}` for {model.title}" for model in models)
    provider = models[0].build.execution_provider
    return (
        f"A model package of ONNX Runtime, with the variants {titles}. A build of ONNX Runtime GenAI that takes such packages loads one, "
        "started in this folder:",
        Code(_PROGRAM.format(provider=json.dumps(provider)), "python"),
        "The distributions on PyPI (onnxruntime-genai 0.18.0) are built without that, and say so.",
    )


PROFILE = Profile(_NAME, 1, "ONNX Runtime's model packages", "a package or bundle for ONNX Runtime GenAI", _fits, _layout)
