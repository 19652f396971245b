"""Builds model folders for ONNX Runtime GenAI with its own model builder: one step a build, from the downloaded checkpoint.

Nothing is shared among builds. Measured on a model of 0.2e9 weights, of 20 s of processor time for int4: 7.2 imports, 0.2 loading
the checkpoint, 1.4 making the graph, 7.4 quantizing and saving, 2.9 the tokenizer. Only the last could be done once for all, by one
more process that takes 7 s to import the same; and the graph differs by provider and has its weights in the io type.

What a model folder should be is in `weights` and `verify`, whether a checkpoint fits in `preflight`, and the builder's options in `words`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from bakehouse.backends.base import (
    Device,
    DevicesRequest,
    adapters,
    has_pickles,
    packages,
    runtime_is_installed,
    tags,
    tags_here,
)
from bakehouse.backends.onnxruntime_genai import genai_config, layers, source, speech, speech_verify
from bakehouse.backends.onnxruntime_genai import verify as ort_rules
from bakehouse.backends.onnxruntime_genai import weights as ort_weights
from bakehouse.backends.onnxruntime_genai import words as ort_words
from bakehouse.backends.onnxruntime_genai.deliver import profiles
from bakehouse.backends.onnxruntime_genai.genai_config import GenaiConfig
from bakehouse.backends.onnxruntime_genai.layers import keeping
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.onnxruntime_genai.preflight import estimate, model_types, preflight, room_for, toolchains
from bakehouse.backends.onnxruntime_genai.proposals import proposals
from bakehouse.backends.onnxruntime_genai.quantization import TITLES, OrtFloat
from bakehouse.backends.onnxruntime_genai.seams import (
    BuildRequest,
    BuildResult,
    BuildSpec,
    EvaluateRequest,
    FidelityRequest,
    GenerateRequest,
    LogitsRequest,
    Measured,
    RunRequest,
    SpeechSpec,
)
from bakehouse.backends.onnxruntime_genai.source import Source
from bakehouse.backends.onnxruntime_genai.workers import plan as ort_plan
from bakehouse.errors import Failure
from bakehouse.recipe.kinds import DEFAULT_TASK, BuildOptions
from bakehouse.steps.cost import installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report, Request
from bakehouse.steps.step import Step
from bakehouse.store import files as file_tools
from bakehouse.tasks.speech.golden import TASK as SPEECH
from bakehouse.tasks.speech.seams import TranscribeRequest
from bakehouse.tasks.text_generation import fidelity as fidelities
from bakehouse.tasks.text_generation import layers as ranking
from bakehouse.tasks.text_generation import numeric_check as numeric
from bakehouse.tasks.text_generation import seams as generation
from bakehouse.tasks.text_generation import tokenizer_findings, weight_names

__all__ = [
    "abilities", "adapters", "command", "devices", "estimate", "evaluate", "fidelity", "generate", "generate_tools", "has_pickles",
    "keeping", "layout", "missing", "model_types", "numeric_check", "packages", "preflight", "profiles", "proposals", "room_for",
    "runner", "sensitivity", "steps", "tags", "tags_here", "targets", "toolchains", "verify",
]  # fmt: skip

FILES = (genai_config.NAME, "model.onnx", "model.onnx.data", "tokenizer.json", "tokenizer_config.json")
FORMAT = 3  # of the model step: raised when this code comes to make other bytes from the same options

# One of these brings the runtime and the builder; on Windows the first two bring DirectML too.
RUNTIMES = ("onnxruntime-genai-winml", "onnxruntime-genai-directml", "onnxruntime-genai-cuda", "onnxruntime-genai")
_ENGINES = ("onnxruntime-directml", "onnxruntime-gpu", "onnxruntime")
_BUILD_TOOLS = (*RUNTIMES, *_ENGINES, "onnx", "onnx-ir", "numpy", "tokenizers", "torch", "transformers")
PLUGINS = {"webgpu": ("onnxruntime-ep-webgpu",)}  # of the extra `webgpu`
_GENERATE_TOOLS = (*RUNTIMES, *_ENGINES)
_FIDELITY_TOOLS = (*_GENERATE_TOOLS, "numpy")


def steps(
    label: str,
    build: BuildOptions,
    checkpoint: Step,
    source_label: str,
    calibration: Step | None,
    remote_code: bool,
    task: str = DEFAULT_TASK,
) -> dict[str, Step]:
    """The one step that makes model, tokenizer and configuration."""
    spelled, made = (speech.spelled_out, speech.FORMAT) if task == SPEECH else (spelled_out, FORMAT)
    spec = spelled(_ours(build), remote_code)
    needs = (("checkpoint", checkpoint),)
    tools = installed(*_BUILD_TOOLS)
    return {"model": Step(kind="compress", maker="onnxruntime-genai", label=label, spec=spec, needs=needs, tools=tools, format=made)}


def spelled_out(build: OnnxRuntimeGenAI, remote_code: bool) -> BuildSpec:
    """What the builder gets, nothing left open but whether embeddings are shared, which the model decides."""
    normal = build.normal()
    return BuildSpec(
        execution_provider=normal.execution_provider,
        quantization=normal.quantization,
        graph_capture=normal.graph_capture,
        remote_code=remote_code,
        use_webgpu_fp32=normal.use_webgpu_fp32,
    )


def generate_tools(build: BuildOptions) -> dict[str, str]:
    """The versions of the tools that change answers; a provider that is a package of its own is one of them where it is installed."""
    assert isinstance(build, OnnxRuntimeGenAI)
    return installed(*_GENERATE_TOOLS, *PLUGINS.get(build.execution_provider, ()))


def missing(build: BuildOptions) -> str | None:
    """What is not installed and what to do; None if nothing is missing. Of runtimes and engines one is enough."""
    return _missing()


def _missing() -> str | None:
    present = installed(*_BUILD_TOOLS)
    absent = [name for name in _BUILD_TOOLS if name not in present and name not in _GENERATE_TOOLS]
    absent += [group[-1] for group in (RUNTIMES, _ENGINES) if not any(name in present for name in group)]
    return f"{', '.join(sorted(absent))} not installed: install Bakehouse with its extra `build`" if absent else None


def abilities() -> dict[str, str | None]:
    """All its builds need the same tools."""
    return {"models for CPU and GPU (CUDA, DirectML, WebGPU)": _missing()}


def devices() -> Command | None:
    """The execution providers that the installed ONNX Runtime has."""
    here = any(name in installed(*RUNTIMES) for name in RUNTIMES)
    return worker("backends.onnxruntime_genai.workers.devices", request=DevicesRequest()) if here else None


def layout(build: BuildOptions, parts: Mapping[str, Path]) -> dict[str, Path]:
    """The builder's files in the folder that Microsoft's repositories have for such a model."""
    below = folder(build)
    return {f"{below}/{path.relative_to(parts['model']).as_posix()}": path for path in file_tools.walk(parts["model"])}


def folder(build: BuildOptions) -> str:
    """The model's folder within its repository, with forward slashes."""
    return _ours(build).folder()


def targets(build: BuildOptions) -> tuple[str, ...]:
    """The provider, as people call it."""
    return (TITLES[_ours(build).execution_provider],)


def generate(build: BuildOptions, parts: Mapping[str, Path], request: Request) -> Command:
    """The command that answers the prompts of `request` with onnxruntime_genai, on the build's provider or else on the CPU.

    Raises:
        Failure: a speech model is to do what the runtime does not. NotInstalled: the runtime is missing.
    """
    if isinstance(request, TranscribeRequest):
        _is_here()
        return speech.generate(_ours(build), request)
    assert isinstance(request, generation.GenerateRequest)
    (device,) = targets(build)
    ours = GenerateRequest(model=request.model / folder(build), prompts=request.prompts, answers=request.answers, device=device)
    return worker("backends.onnxruntime_genai.workers.generate", request=ours)


def runner(build: BuildOptions, package: Path, device: Device | None) -> Command:
    """The command that answers jobs with onnxruntime_genai, on the build's provider or else on the CPU.

    Raises:
        Failure: an NPU is requested, for which no build is made.
    """
    if device == "NPU":
        raise Failure(
            "models for ONNX Runtime GenAI are made for CPUs and GPUs here", remedy="leave out --device, or take a build for the NPU"
        )
    _is_here()
    (made_for,) = targets(build)
    return worker(
        "backends.onnxruntime_genai.workers.run", request=RunRequest(model=package / folder(build), made_for=made_for, device=device)
    )


def _is_here() -> None:
    runtime_is_installed([next(iter(installed(*group)), group[-1]) for group in (RUNTIMES, _ENGINES)])


def evaluate(build: BuildOptions, package: Path, device: Device | None, wanted: generation.EvaluateRequest) -> Command:
    """The command that carries out tasks of lm-eval with onnxruntime_genai, where `runner` would answer.

    Raises:
        Failure: as `runner`.
    """
    answers = runner(build, package, device)
    assert isinstance(answers.request, RunRequest)
    own = EvaluateRequest(**dict(wanted), model=answers.request.model, made_for=answers.request.made_for, device=device)
    return worker("backends.onnxruntime_genai.workers.evaluate", request=own)


# The precision in which the CPU provider runs the graph that the builder makes for a provider (0.18.0 with onnxruntime 1.31.1): of
# cuda, dml and NvTensorRtRtx it does not load the one in float32, and none in bfloat16.
_FLOAT: Mapping[str, Literal["fp32", "fp16"]] = {"cpu": "fp32", "webgpu": "fp32", "cuda": "fp16", "dml": "fp16", "NvTensorRtRtx": "fp16"}


def numeric_check(
    label: str, build: BuildOptions, parts: Mapping[str, Step], checkpoint: Step, logits: Step, source_label: str
) -> Step | None:
    """Of a float build that the CPU provider runs its own; one for all others of a provider, whose graph the builder makes in float."""
    ours = _ours(build)
    needs = (("checkpoint", checkpoint), ("logits", logits))
    own, precision = parts["model"].spec_as(BuildSpec), _FLOAT[ours.execution_provider]
    if ours.quantization.weights == precision:
        return _comparing(label, own, (*needs, ("model", parts["model"])))
    changes = {"quantization": OrtFloat(weights=precision, shared_embeddings=None), "graph_capture": None, "use_webgpu_fp32": False}
    plain = ours.model_copy(update=changes)
    return _comparing(f"{source_label}-{ours.execution_provider}", spelled_out(plain, own.remote_code), needs)


def _comparing(label: str, spec: BuildSpec, needs: tuple[tuple[str, Step], ...]) -> Step:
    return numeric.step("onnxruntime-genai", label, spec, needs, installed(*_BUILD_TOOLS))


def fidelity(label: str, build: BuildOptions, parts: Mapping[str, Step], reference: Step, positions: int | None = None) -> Step | None:
    """One for a model folder, which is a build's own."""
    needs = (("model", parts["model"]), ("reference", reference))
    tools = generate_tools(build) | installed(*_FIDELITY_TOOLS)
    return fidelities.step("onnxruntime-genai", label, generation.FidelitySpec(positions=positions), needs, tools)


def sensitivity(label: str, build: BuildOptions, parts: Mapping[str, Step], reference: Step) -> Step | None:
    """The step that measures the layers; every ratio of builds that are otherwise equal shares it."""
    checkpoint, remote_code = parts["model"].need("checkpoint"), parts["model"].spec_as(BuildSpec).remote_code
    return layers.sensitivity(build, reference, label, lambda plain: steps(label, plain, checkpoint, "", None, remote_code)["model"])


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that makes a model folder, compares logits, or measures fidelity."""
    if step.kind == fidelities.KIND:
        return worker("backends.onnxruntime_genai.workers.fidelity", request=_measuring(step, inputs, files))
    if step.kind == "sensitivity":
        return layers.command(step, inputs, files)
    if isinstance(step.spec, SpeechSpec):
        return speech.command(step, inputs["checkpoint"], files)
    spec, checkpoint = step.spec_as(BuildSpec), inputs["checkpoint"]
    if step.kind == numeric.KIND:
        compared = LogitsRequest(checkpoint=checkpoint, reference=inputs["logits"], files=files, spec=spec, model=inputs.get("model"))
        return worker("backends.onnxruntime_genai.workers.logits", request=compared)
    path = checkpoint / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    by_hand = ort_words.upstream(spec, ort_plan.plan(config, spec), weight_names.ties(config))
    made = BuildRequest(checkpoint=checkpoint, files=files, spec=spec)
    return worker("backends.onnxruntime_genai.workers.build", request=made, upstream=by_hand)


def _measuring(step: Step, inputs: Mapping[str, Path], files: Path) -> FidelityRequest:
    return FidelityRequest(
        model=inputs["model"],
        reference=inputs["reference"],
        files=files,
        positions=step.spec_as(generation.FidelitySpec).positions,
        device=TITLES[step.need("model").spec_as(BuildSpec).execution_provider],
    )


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare the graph as the worker read it, genai_config.json and the tokenizer with what the recipe requests."""
    if step.kind == fidelities.KIND:
        return fidelities.verify(files)
    if step.kind == numeric.KIND:
        return numeric.verify(files, report)
    if step.kind == "sensitivity":
        return ranking.verify(files, report)
    if isinstance(step.spec, SpeechSpec):
        return speech_verify.verify(step.spec, inputs["checkpoint"], files, report)
    absent = tuple(f"{name} was not made" for name in FILES if not (files / name).is_file())
    if absent:
        return Verification(faults=absent)
    spec, built = step.spec_as(BuildSpec), report.read(BuildResult)
    checkpoint = source.read(inputs["checkpoint"], bool(built.two_heads))
    made = genai_config.read(files)
    faults = (
        *ort_rules.judge_data(built.graph.data, {path.name: path.stat().st_size for path in files.iterdir() if path.is_file()}),
        *ort_weights.judge(built.graph.weights, checkpoint, spec),
        *ort_rules.judge_interface(built.graph, made, spec),
        *ort_rules.judge_config(made, checkpoint, spec),
        *ort_rules.judge_tokenizer(built.tokenizer, made),
    )
    return Verification(_measured(built, made, checkpoint, spec).model_dump(mode="json", exclude_none=True), faults)


def _measured(built: BuildResult, made: GenaiConfig, checkpoint: Source, spec: BuildSpec) -> Measured:
    planned = ort_plan.plan(checkpoint.config, spec)
    tokenizer = built.tokenizer
    read = generation.TokenizerRead(
        eos_token_id=tokenizer.eos_token_id, turn_end_id=tokenizer.turn_end_id, tokenizer_corrected=built.tokenizer_corrected
    )
    return Measured(
        **ort_weights.measure(built.graph.weights).model_dump(),
        context_length=made.model.context_length,
        end_tokens=tuple(made.end_tokens),
        mended=built.mended,
        tokenizer_texts_compared=tokenizer.texts,
        **tokenizer_findings.findings(tokenizer, read, made.end_tokens).model_dump(),
        context_cut_from=planned.cut_from,
        context_cut_reason=planned.cut_reason or None,
        cache_kept_beyond=ort_plan.kept_beyond(checkpoint.config, spec),
    )


def _ours(build: BuildOptions) -> OnnxRuntimeGenAI:
    assert isinstance(build, OnnxRuntimeGenAI)
    return build
