"""Builds compiled models of the archived Intel NPU Acceleration Library, in an environment of its own.

The library 1.4.0 wants transformers 4.46 and numpy 1, which cannot live beside the tools of the other lanes: the environment is a step
like any other, and the workers that import the library run in it. Its models are pickles: none is ever loaded outside of it.
"""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bakehouse.backends.base import Room
from bakehouse.backends.npu_library.options import NpuLibrary
from bakehouse.backends.npu_library.workers import checkpoint as npulib_checkpoint
from bakehouse.child import environment
from bakehouse.formats import npulib_pickle, safetensors_files
from bakehouse.formats.checkpoint import Survey
from bakehouse.formats.npulib_pickle import Tensor, Thing
from bakehouse.recipe.recipe import BuildOptions
from bakehouse.records import Package
from bakehouse.steps.cost import Estimate, installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Loose, Report
from bakehouse.steps.step import Step
from bakehouse.store import files as file_tools
from bakehouse.tasks.text_generation.seams import GenerateRequest

MAKER = "intel-npu-acceleration-library"
MODEL, LOADER = "pytorch_npu_model.pt", "load.py"
FILES = (MODEL, LOADER, "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")

_PYTHONS = ((3, 11), (3, 12))  # numpy 1.26 and the library's Windows wheels end there
_ENVIRONMENTS = Path(__file__).resolve().parent / "environments"
_LOCKS = {"win32": ("npulib.txt",), "linux": ("npulib.txt", "npulib-linux.txt")}
_VERSIONS = {"intel-npu-acceleration-library": "1.4.0", "neural-compressor": "3.1"}
_LINEAR = {"fp16": "Linear", "int8": "QuantizedLinear", "int4": "QuantizedLinear"}
_STORED = {"fp16": "float16", "int8": "int8", "int4": "uint8"}
_PRECISIONS = {"float32": "fp32", "float16": "fp16", "int8": "int8_sym", "uint8": "int4_sym"}
_BYTES = {"fp16": 2.0, "int8": 1.0, "int4": 0.5}
_ENVIRONMENT_BYTES = 1_400_000_000  # 1.2 GB with a CPU build of torch
_BASE_BYTES = 900_000_000


def steps(
    label: str, build: BuildOptions, checkpoint: Step, source_label: str, calibration: Step | None, remote_code: bool
) -> dict[str, Step]:
    """The environment, which all builds share, and the compiled model with its tokenizer and configs."""
    asked, setup = _ours(build), environment_step()
    options = {"weights": asked.quantization.weights, "torch_dtype": asked.torch_dtype, "untie": True}
    compiled = Step(
        kind="compress",
        maker=MAKER,
        label=label,
        spec=Loose(**options),
        needs=(("checkpoint", checkpoint), ("environment", setup)),
        tools=_VERSIONS,
        format=2,  # 2: of a model whose weights are exactly the checkpoint's
    )
    return {"model": compiled, "environment": setup}


def environment_step() -> Step:
    """The environment: its pinned packages by the hash of their locks, and the torch that it takes over."""
    locks = {name: file_tools.sha256(_ENVIRONMENTS / name) for name in _LOCKS.get(sys.platform, ())}
    machine = {"system": sys.platform, "python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    # Format 2: the record names every package, and the compiler.
    return Step(kind="setup", maker=MAKER, label="npulib", spec=Loose(**{"locks": locks, **machine}), tools=installed("torch"), format=2)


def generate_tools() -> dict[str, str]:
    """None of this environment: validation needs the other one, and so its key."""
    return {}


def missing(build: BuildOptions) -> str | None:
    """Why this machine cannot make it and what to do, in a few words."""
    if sys.platform not in _LOCKS or platform.machine().lower() not in ("x86_64", "amd64"):
        return "it runs on Linux and Windows, x86-64"
    if sys.version_info[:2] not in _PYTHONS:
        return "it wants Python 3.11 or 3.12"
    if "torch" not in installed("torch") or find_spec("pip") is None:
        return "torch or pip not installed: run `pip install -e .`"
    if sys.platform == "linux" and shutil.which(os.environ.get("CXX") or "c++") is None:
        return "no C++ compiler: run `apt-get install g++`"
    return None


def layout(build: BuildOptions, parts: Mapping[str, Path]) -> dict[str, Path]:
    """The model, its loader, and what transformers needs beside them, flat."""
    return {name: parts["model"] / name for name in FILES if (parts["model"] / name).exists()}


def targets(build: BuildOptions) -> tuple[str, ...]:
    """The device that it is made for."""
    return ("NPU",)


def numeric_check(
    label: str, build: BuildOptions, parts: Mapping[str, Step], checkpoint: Step, logits: Step, source_label: str
) -> Step | None:
    """None: its models are pickled modules of an older transformers; verify compares every layer's weights with the source's."""
    return None


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that makes the environment, or compiles a model in it."""
    if step.kind == "setup":
        return worker("backends.npu_library.workers.setup", str(files), needs_network=True)
    return _inside(
        inputs["environment"], "backends.npu_library.workers.compile", str(inputs["checkpoint"]), str(files), json.dumps(step.options)
    )


def generate(build: BuildOptions, parts: Mapping[str, Path], request: GenerateRequest) -> Command:
    """The command that answers the prompts with the library: on the NPU if there is one, else on the CPU."""
    return replace(_inside(parts["environment"], "backends.npu_library.workers.generate"), request=request)


def _inside(files: Path, name: str, *arguments: str) -> Command:
    return Command(environment.argv(files / "site", name, *arguments))


def room_for(build: BuildOptions, config: Mapping[str, Any]) -> Room | None:
    """transformers generates, which takes any number of tokens."""
    return None


def preflight(build: BuildOptions, survey: Survey) -> tuple[str, ...]:
    """Sentences, one for each reason why this build of this checkpoint cannot work."""
    kind = survey.config.get("model_type", "")
    reasons = []
    if kind != "phi3":
        reasons.append(
            f"this backend compiles models of type phi3, not {kind or 'unknown'}: others are not shown to work, "
            "and of a Llama or a Gemma the library pickles generated Python code, which cannot be verified"
        )
    if kind == "phi3":
        reasons += npulib_checkpoint.strange_rope(survey.config)
    return tuple(reasons)


def estimate(step: Step, survey: Survey) -> Estimate:
    """What one step will take: the whole checkpoint in `torch_dtype`, and the compiled layers beside it."""
    if step.kind == "setup":
        return Estimate(_ENVIRONMENT_BYTES, _BASE_BYTES)
    options = step.options if step.kind == "compress" else step.need("model").options
    made = round(survey.parameters * _BYTES[options["weights"]])
    if step.kind == "compress":
        loaded = survey.parameters * (4 if options["torch_dtype"] == "float32" else 2)
        return Estimate(made, loaded + made + _BASE_BYTES)
    return Estimate(0, 2 * made + _BASE_BYTES if step.kind == "validate" else 0)


def packages(step: Step, report: Report) -> tuple[Package, ...]:
    """Everything in the environment."""
    return tuple(Package.model_validate(package) for package in report.values["packages"])


def has_pickles(build: BuildOptions) -> bool:
    """Each of its models is one."""
    return True


# --- what was made --------------------------------------------------------------------------------------------------------------


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Hold what was made against what was asked; the pickle is read without running it."""
    if step.kind == "setup":
        versions = report.values["versions"]
        wrong = [
            f"{name} has version {versions[name]}, should be {wanted}" for name, wanted in _VERSIONS.items() if versions[name] != wanted
        ]
        return Verification({"packages": versions, "compiler": report.values["compiler"]}, tuple(wrong))
    absent = tuple(f"{name} was not made" for name in FILES if name != "generation_config.json" and not (files / name).is_file())
    if absent:
        return Verification(faults=absent)
    try:
        model = npulib_pickle.read(files / MODEL)
    except npulib_pickle.Foreign as foreign:
        return Verification(faults=(f"{MODEL}: {foreign}",))
    source = {name: shape for name, _, shape in safetensors_files.tensors(inputs["checkpoint"])}
    faults = (*_judge(model, source, step.options), *_loader(files))
    return Verification(_measure(model, step.options, report.values["relative_errors"]), faults)


def _layers(model: Thing) -> dict[str, Thing]:
    """The layers that the library made, by name."""
    return {name: module for name, module in npulib_pickle.modules(model) if module.name.startswith("intel_npu_acceleration_library.")}


def _judge(model: Thing, source: Mapping[str, tuple[int, ...]], options: Mapping[str, Any]) -> Iterator[str]:
    """Every matrix of the source but the embedding is a layer of the asked kind, everything else is there in the asked precision."""
    weights, rest = options["weights"], options["torch_dtype"]
    layers = _layers(model)
    found = {f"{name}.{key}": tensor for name, one in npulib_pickle.modules(model) for key, tensor in npulib_pickle.parameters(one).items()}
    for name, shape in sorted(source.items()):
        owner = name.removesuffix(".weight")
        linear = len(shape) == 2 and not owner.endswith("embed_tokens")
        tensor = found.get(name)
        if tensor is None:
            yield f"{name} of the checkpoint is not in the model"
        elif not linear:
            yield from _differs(name, tensor, Tensor(rest, shape))
        elif owner not in layers or not layers[owner].name.endswith(f".{_LINEAR[weights]}"):
            yield f"{owner} is no {_LINEAR[weights]} of the library"
        else:
            packed = (shape[0], shape[1] // 2) if weights == "int4" else shape
            yield from _differs(name, tensor, Tensor(_STORED[weights], packed))
            if weights != "fp16":
                scale = found.get(f"{owner}.scale", Tensor("nothing", ()))
                yield from _differs(f"{owner}.scale", scale, Tensor("float16", (shape[0], 1)))
    more = sorted(set(layers) - {name.removesuffix(".weight") for name in source} - {"lm_head"})
    if more:
        yield f"{more[0]} is a layer that the checkpoint has not"


def _differs(name: str, found: Tensor, wanted: Tensor) -> Iterator[str]:
    if found != wanted:
        yield f"{name} is {found.dtype} {list(found.shape)}, should be {wanted.dtype} {list(wanted.shape)}"


def _measure(model: Thing, options: Mapping[str, Any], errors: Mapping[str, float]) -> dict[str, Any]:
    layers = _layers(model)
    held = [npulib_pickle.parameters(layer).get("weight") for layer in layers.values()]
    kinds = sorted({weight.dtype for weight in held if weight})
    of_layers = {name: error for name, error in errors.items() if name in layers}
    worst = max(of_layers, key=lambda name: of_layers[name], default="")
    return {
        "weights": _counts(model),
        "linear_layers": len(layers),
        "linear_layers_stored_as": ["int4, two in a byte" if kind == "uint8" else kind for kind in kinds],
        "rest_stored_as": options["torch_dtype"],
        "mean_relative_error": round(sum(of_layers.values()) / max(1, len(of_layers)), 5),
        "largest_relative_error": of_layers.get(worst, 0.0),
        "largest_relative_error_at": worst,
        "embedding_relative_error": errors["model.embed_tokens"],
    }


def _counts(model: Thing) -> dict[str, int]:
    """Numbers in all weights, by precision."""
    counts: Counter[str] = Counter()
    for _, module in npulib_pickle.modules(model):
        if weight := npulib_pickle.parameters(module).get("weight"):
            counts[_PRECISIONS[weight.dtype]] += math.prod(weight.shape) * (2 if weight.dtype == "uint8" else 1)
    return dict(sorted(counts.items()))


def _loader(files: Path) -> Iterator[str]:
    told = (_ENVIRONMENTS / f"npulib-{LOADER}.txt").read_text(encoding="utf-8").replace("@SHA256@", file_tools.sha256(files / MODEL))
    if (files / LOADER).read_text(encoding="utf-8") != told:
        yield f"{LOADER} does not name the sha256 of {MODEL}"


def _ours(build: BuildOptions) -> NpuLibrary:
    assert isinstance(build, NpuLibrary)
    return build
