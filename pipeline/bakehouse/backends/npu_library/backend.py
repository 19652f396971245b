"""Builds compiled models of the archived Intel NPU Acceleration Library, in an environment of its own.

The library 1.4.0 wants transformers 4.46 and numpy 1, and the other backends want newer ones: the environment is a step like any other,
and the workers that import the library run in it. Its models are pickles: none is ever loaded outside of it.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from bakehouse.backends.base import Device, Proposals, Room
from bakehouse.backends.base import adapters as adapters
from bakehouse.backends.base import keeping as keeping
from bakehouse.backends.base import sensitivity as sensitivity
from bakehouse.backends.delivery import Profile
from bakehouse.backends.npu_library import verify as npulib_rules
from bakehouse.backends.npu_library.options import NpuLibrary
from bakehouse.backends.npu_library.seams import (
    CompileRequest,
    CompileResult,
    CompileSpec,
    EnvironmentSpec,
    FidelityRequest,
    MeasuredEnvironment,
    SetupRequest,
    SetupResult,
)
from bakehouse.backends.npu_library.verify import ENVIRONMENTS, LOADER, MODEL
from bakehouse.backends.npu_library.workers import checkpoint as npulib_checkpoint
from bakehouse.child import environment
from bakehouse.errors import Failure
from bakehouse.formats import npu_library_pickle, safetensors_files
from bakehouse.formats.checkpoint import Survey
from bakehouse.formats.config_json import Config
from bakehouse.recipe.kinds import DEFAULT_TASK, BuildOptions
from bakehouse.records import Distribution
from bakehouse.steps.cost import Estimate, installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report, Request
from bakehouse.steps.step import Step
from bakehouse.store import files as file_tools
from bakehouse.tasks.text_generation import fidelity as fidelities
from bakehouse.tasks.text_generation.seams import EvaluateRequest, FidelitySpec, GenerateRequest
from bakehouse.toolchains.table import INSTALLED, reading
from bakehouse.toolchains.table import NAMES as TOOLCHAINS
from bakehouse.toolchains.table import Name as Toolchain

MAKER = "intel-npu-acceleration-library"
FILES = (MODEL, LOADER, "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")

_PYTHONS = ((3, 11), (3, 12))  # numpy 1.26 and the library's Windows wheels end there
_LOCKS = {"win32": ("npulib.txt",), "linux": ("npulib.txt", "npulib-linux.txt")}
_VERSIONS = {"intel-npu-acceleration-library": "1.4.0", "neural-compressor": "3.1"}
_BYTES = {"fp16": 2.0, "int8": 1.0, "int4": 0.5}
_ENVIRONMENT_BYTES = 1_400_000_000  # 1.2 GB with a CPU build of torch
_BASE_BYTES = 900_000_000


def steps(
    label: str,
    build: BuildOptions,
    checkpoint: Step,
    source_label: str,
    calibration: Step | None,
    remote_code: bool,
    task: str = DEFAULT_TASK,
) -> dict[str, Step]:
    """The environment, which all builds share, and the compiled model with its tokenizer and configs."""
    ours, setup = _ours(build), environment_step()
    compiled = Step(
        kind="compress",
        maker=MAKER,
        label=label,
        spec=CompileSpec(weights=ours.quantization.weights, torch_dtype=ours.torch_dtype),
        needs=(("checkpoint", checkpoint), ("environment", setup)),
        tools=_VERSIONS,
        format=2,  # 2: of a model whose weights are exactly the checkpoint's
    )
    return {"model": compiled, "environment": setup}


def environment_step() -> Step:
    """The environment: its pinned packages by the hash of their locks, and the torch that it takes over."""
    locks = {name: file_tools.sha256(ENVIRONMENTS / name) for name in _LOCKS.get(sys.platform, ())}
    spec = EnvironmentSpec(locks=locks, system=sys.platform, python=f"{sys.version_info.major}.{sys.version_info.minor}")
    # Format 2: the record names every package, and the compiler.
    return Step(kind="setup", maker=MAKER, label="npulib", spec=spec, tools=installed("torch"), format=2)


def proposals(parameters: int | None) -> Proposals:
    """None: the library is archived, and only who has code for it wants it."""
    return ()


def generate_tools(build: BuildOptions) -> dict[str, str]:
    """None of this environment: validation needs the other one, and so its key."""
    return {}


def missing(build: BuildOptions) -> str | None:
    """Why this machine cannot make it and what to do, in a few words."""
    return _missing()


def _missing() -> str | None:
    if sys.platform not in _LOCKS or platform.machine().lower() not in ("x86_64", "amd64"):
        return "it runs on Linux and Windows, x86-64"
    if sys.version_info[:2] not in _PYTHONS:
        return "it wants Python 3.11 or 3.12"
    if "torch" not in installed("torch") or find_spec("pip") is None:
        return "torch or pip not installed: install Bakehouse with its extra `build`"
    if sys.platform == "linux" and shutil.which(os.environ.get("CXX") or "c++") is None:
        return "no C++ compiler: run `apt-get install g++`"
    return None


def abilities() -> dict[str, str | None]:
    """All its builds need the same."""
    return {"models for the NPU, for the archived library": _missing()}


def devices() -> Command | None:
    """None: the library is installed into an environment of its own, and has no list."""
    return None


def layout(build: BuildOptions, parts: Mapping[str, Path]) -> dict[str, Path]:
    """The model, its loader, and what transformers needs, too, flat."""
    return {name: parts["model"] / name for name in FILES if (parts["model"] / name).exists()}


def targets(build: BuildOptions) -> tuple[str, ...]:
    """The device that it is made for."""
    return ("NPU",)


def numeric_check(
    label: str, build: BuildOptions, parts: Mapping[str, Step], checkpoint: Step, logits: Step, source_label: str
) -> Step | None:
    """None: its models are pickled modules of an older transformers; verify compares every layer's weights with the source's."""
    return None


def fidelity(label: str, build: BuildOptions, parts: Mapping[str, Step], reference: Step, positions: int | None = None) -> Step | None:
    """One at so many positions, in the environment that it is made in; None for a build, which is not measured.

    Without an NPU the library takes over 15 minutes for all positions of a model of 0.2 billion weights, so hours for Phi-3-mini.
    """
    if positions is None:
        return None
    needs = (("model", parts["model"]), ("environment", parts["environment"]), ("reference", reference))
    return fidelities.step(MAKER, label, FidelitySpec(positions=positions), needs, {})


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that makes the environment, or compiles or measures a model in it."""
    if step.kind == "setup":
        return worker("backends.npu_library.workers.setup", request=SetupRequest(files=files), needs_network=True)
    if step.kind == fidelities.KIND:
        positions = step.spec_as(FidelitySpec).positions
        measured = FidelityRequest(model=inputs["model"], reference=inputs["reference"], files=files, positions=positions)
        return _inside(inputs["environment"], "backends.npu_library.workers.fidelity", measured)
    request = CompileRequest(checkpoint=inputs["checkpoint"], files=files, spec=step.spec_as(CompileSpec))
    return _inside(inputs["environment"], "backends.npu_library.workers.compile", request)


def generate(build: BuildOptions, parts: Mapping[str, Path], request: Request) -> Command:
    """The command that answers the prompts with the library: on the NPU if the machine has one, else on the CPU."""
    assert isinstance(request, GenerateRequest)
    return _inside(parts["environment"], "backends.npu_library.workers.generate", request)


def runner(build: BuildOptions, package: Path, device: Device | None) -> Command:
    """None here.

    Raises:
        Failure: always: such a package is a pickle and a loader, which are code of whoever made it.
    """
    raise Failure(
        "a model of the Intel NPU Acceleration Library is a pickle with a loader, so running it would run code of the package",
        remedy="check who made it (`bakehouse check DIR --key ...`), and then follow its README.md, which has the program",
    )


def evaluate(build: BuildOptions, package: Path, device: Device | None, wanted: EvaluateRequest) -> Command:
    """None here.

    Raises:
        Failure: always, as `runner`.
    """
    return runner(build, package, device)


def _inside(files: Path, name: str, request: Request) -> Command:
    return Command(environment.argv(files / "site", name), request=request)


def room_for(build: BuildOptions, config: Config) -> Room | None:
    """transformers generates, which takes any number of tokens."""
    return None


def toolchains(config: Config, task: str = DEFAULT_TASK) -> tuple[Toolchain, ...]:
    """All, for the models that it makes: it reads the checkpoint in an environment of its own."""
    return reading(config, model_types(task).get(str(config.get("model_type")), ()))


def model_types(task: str = DEFAULT_TASK) -> Mapping[str, tuple[Toolchain, ...]]:
    """The one kind of model that is shown to work."""
    return {"phi3": TOOLCHAINS} if task == DEFAULT_TASK else {}


def preflight(build: BuildOptions, survey: Survey, toolchain: Toolchain = INSTALLED, task: str = DEFAULT_TASK) -> tuple[str, ...]:
    """Sentences, one for each reason why this build of this checkpoint cannot work; the toolchain makes only its reference."""
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
    """What one step will take: the complete checkpoint in `torch_dtype`, and the compiled layers."""
    if step.kind == "setup":
        return Estimate(_ENVIRONMENT_BYTES, _BASE_BYTES)
    spec = (step if step.kind == "compress" else step.need("model")).spec_as(CompileSpec)
    made = round(survey.parameters * _BYTES[spec.weights])
    if step.kind == "compress":
        loaded = survey.parameters * (4 if spec.torch_dtype == "float32" else 2)
        return Estimate(made, loaded + made + _BASE_BYTES)
    if step.kind == fidelities.KIND:
        return fidelities.estimate(survey, 2 * made + _BASE_BYTES)
    return Estimate(0, 2 * made + _BASE_BYTES if step.kind == "validate" else 0)


def tags(step: Step) -> tuple[str, ...]:
    """The library's environment is built where its compiler is."""
    return ("npulib",) if step.kind == "setup" else ()


def tags_here() -> dict[str, bool]:
    """Whether that environment can be built here."""
    return {"npulib": not _missing()}


def packages(step: Step, report: Report) -> tuple[Distribution, ...]:
    """Everything in the environment."""
    return report.read(SetupResult).packages


def profiles() -> tuple[Profile, ...]:
    """Its packages are used as they are."""
    return ()


def has_pickles(build: BuildOptions) -> bool:
    """Each of its models is one."""
    return True


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare what was made with what the recipe requests."""
    if step.kind == "setup":
        return _verify_environment(report.read(SetupResult))
    if step.kind == fidelities.KIND:
        return fidelities.verify(files)
    absent = tuple(f"{name} was not made" for name in FILES if name != "generation_config.json" and not (files / name).is_file())
    if absent:
        return Verification(faults=absent)
    try:
        model = npu_library_pickle.read(files / MODEL)
    except npu_library_pickle.Foreign as foreign:
        return Verification(faults=(f"{MODEL}: {foreign}",))
    spec, errors = step.spec_as(CompileSpec), report.read(CompileResult).relative_errors
    source = {name: shape for name, _, shape in safetensors_files.tensors(inputs["checkpoint"])}
    faults = (*npulib_rules.judge(model, source, spec), *npulib_rules.judge_loader(files))
    return Verification(npulib_rules.measure(model, spec, errors).model_dump(mode="json"), faults)


def _verify_environment(found: SetupResult) -> Verification:
    wrong = [
        f"{name} has version {found.versions[name]}, should be {wanted}"
        for name, wanted in _VERSIONS.items()
        if found.versions[name] != wanted
    ]
    return Verification(MeasuredEnvironment(packages=found.versions, compiler=found.compiler).model_dump(mode="json"), tuple(wrong))


def _ours(build: BuildOptions) -> NpuLibrary:
    assert isinstance(build, NpuLibrary)
    return build
