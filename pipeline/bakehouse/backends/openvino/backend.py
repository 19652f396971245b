"""Builds OpenVINO IR: one export and one tokenizer a checkpoint, any number of precisions compressed from that export.

`artifacts` compares what was made with the recipe; `preflight` judges whether a checkpoint fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from bakehouse.backends.base import Device, DevicesRequest, has_pickles, packages, room_for, runtime_is_installed, tags, tags_here
from bakehouse.backends.openvino import adapters as lora
from bakehouse.backends.openvino import forms, layers
from bakehouse.backends.openvino.artifacts import CONFIGS, TOKENIZER_FILES, verify
from bakehouse.backends.openvino.deliver import profiles
from bakehouse.backends.openvino.layers import keeping, sensitivity
from bakehouse.backends.openvino.options import DRAFT, OpenVINO, given
from bakehouse.backends.openvino.preflight import estimate, model_types, preflight, toolchains
from bakehouse.backends.openvino.proposals import proposals
from bakehouse.backends.openvino.quantization import Float, FourBit, Int8, normal
from bakehouse.backends.openvino.seams import (
    AdaptedRequest,
    CalibrationUse,
    CheckpointSpec,
    Compression,
    CompressRequest,
    DraftedRequest,
    EvaluateRequest,
    ExportRequest,
    FidelityRequest,
    FidelitySpec,
    FloatSpec,
    FourBitSpec,
    GenerateRequest,
    Int8Spec,
    LogitsRequest,
    RunRequest,
    TokenizerRequest,
    compression,
)
from bakehouse.errors import Failure
from bakehouse.recipe.kinds import DEFAULT_TASK, BuildOptions
from bakehouse.steps.cost import installed, not_installed
from bakehouse.steps.maker import Command, worker
from bakehouse.steps.seam import Request
from bakehouse.steps.step import Kind, Step
from bakehouse.store import files as file_tools
from bakehouse.tasks import seams as tasks
from bakehouse.tasks.text_generation import answer_file
from bakehouse.tasks.text_generation import fidelity as fidelities
from bakehouse.tasks.text_generation import numeric_check as numeric
from bakehouse.tasks.text_generation import seams as text_generation

__all__ = [
    "TOKENIZER_FILES", "abilities", "adapters", "command", "devices", "estimate", "evaluate", "fidelity", "generate", "generate_tools",
    "has_pickles", "keeping", "layout", "missing", "model_types", "numeric_check", "packages", "preflight", "profiles", "proposals",
    "room_for", "runner", "sensitivity", "steps", "tags", "tags_here", "targets", "toolchains", "verify",
]  # fmt: skip

FORMATS = {"export": 2, "tokenizer": 3}  # raised when this code comes to make other bytes from the same options

_EXPORT_TOOLS = ("openvino", "optimum", "optimum-intel", "torch", "transformers")
_TOKENIZER_TOOLS = ("openvino", "openvino-genai", "openvino-tokenizers", "tokenizers", "transformers")
RUNTIME = ("openvino", "openvino-genai", "openvino-tokenizers")
_NUMERIC_TOOLS = ("numpy", *_EXPORT_TOOLS)
FIDELITY_TOOLS = ("numpy", "openvino")
_CALIBRATION_TOOLS = ("numpy", "scipy", "tokenizers", "transformers")
_WORKERS: Mapping[Kind, str] = {
    "export": "export",
    "tokenizer": "tokenizer",
    "compress": "compress",
    "numeric_check": "logits",
    "fidelity": "fidelity",
}


def steps(
    label: str,
    build: BuildOptions,
    checkpoint: Step,
    source_label: str,
    calibration: Step | None,
    remote_code: bool,
    task: str = DEFAULT_TASK,
) -> dict[str, Step]:
    """Model, tokenizer and config: the export serves as the config and, with every other build of the checkpoint, as the model's source."""
    form = forms.FORMS.get(task)
    spec = (form.spec if form else CheckpointSpec)(remote_code=remote_code)
    needs = (("checkpoint", checkpoint),)

    def of_checkpoint(kind: Literal["export", "tokenizer"], tools: tuple[str, ...]) -> Step:
        found = installed(*tools)
        return Step(kind=kind, maker="openvino", label=source_label, spec=spec, needs=needs, tools=found, format=FORMATS.get(kind, 1))

    export, tokenizer = (
        of_checkpoint("export", (*_EXPORT_TOOLS, *(form.tools if form else ()))),
        of_checkpoint("tokenizer", _TOKENIZER_TOOLS),
    )
    complete = spelled_out(build)
    tools = ("openvino",) if isinstance(complete, FloatSpec) else ("nncf", "openvino")
    compress = Step(
        kind="compress",
        maker="openvino",
        label=label,
        spec=complete,
        needs=(("export", export), *((("calibration", calibration), ("tokenizer", tokenizer)) if calibration else ())),
        tools=installed(*tools, *(_CALIBRATION_TOOLS if calibration else ())),
    )
    return {"model": compress, "tokenizer": tokenizer, "config": export}


def adapters(label: str, build: BuildOptions, parts: Mapping[str, Step], fetched: Sequence[tuple[Step, float]]) -> dict[str, Step]:
    """What OpenVINO GenAI takes."""
    return lora.steps(label, parts, fetched)


def spelled_out(build: BuildOptions) -> Compression:
    """Every quantization option, also those that a format does not let one choose; of a calibration only how it is used."""
    assert isinstance(build, OpenVINO)
    match normal(build.quantization):
        case Float(weights=weights):
            return FloatSpec(weights=weights)
        case Int8() as options:
            return Int8Spec(weights=options.weights, symmetric=options.symmetric, ignored_scope=options.ignored_scope)
        case FourBit(calibration=texts) as options:
            used = CalibrationUse(num_samples=texts.num_samples, max_tokens=texts.max_tokens) if texts else None
            return FourBitSpec.model_validate(dict(options) | {"calibration": used})


def generate_tools(build: BuildOptions) -> dict[str, str]:
    """The versions of the tools that change answers."""
    return installed(*RUNTIME)


def missing(build: BuildOptions) -> str | None:
    """What is not installed and what to do; None if everything is installed."""
    return _missing()


def _missing() -> str | None:
    return not_installed(sorted({*_EXPORT_TOOLS, *_TOKENIZER_TOOLS, *RUNTIME, "nncf"}))


def abilities() -> dict[str, str | None]:
    """All its builds need the same tools."""
    return {"models for CPU and GPU": _missing()}


def devices(beginning: str = "") -> Command | None:
    """The devices that OpenVINO's plugins find, or those of them whose names begin so."""
    if "openvino" not in installed("openvino"):
        return None
    return worker("backends.openvino.workers.devices", request=DevicesRequest(beginning=beginning))


def layout(build: BuildOptions, parts: Mapping[str, Path]) -> dict[str, Path]:
    """The flat folder that the OpenVINO organisation publishes; a draft lies in a folder of it, as Model Server's export script has it.

    So does each adapter that is kept separate.
    """
    named = forms.layout(parts["config"]) or {name: parts["config"] / name for name in CONFIGS}
    folders = (parts["tokenizer"], parts["model"])
    own = named | {path.relative_to(folder).as_posix(): path for folder in folders for path in file_tools.walk(folder)}
    own |= lora.layout(parts)
    draft = {role.removeprefix(f"{DRAFT}_"): path for role, path in parts.items() if role.startswith(f"{DRAFT}_")}
    return own | ({f"{DRAFT}/{place}": path for place, path in layout(build, draft).items()} if draft else {})


def targets(build: BuildOptions) -> tuple[str, ...]:
    """IR is the same for every device that OpenVINO compiles it for."""
    return ("CPU", "GPU")


def generate(build: BuildOptions, parts: Mapping[str, Path], request: Request) -> Command:
    """The command that answers the prompts of `request` in openvino_genai on the CPU: exactly, and as its users do."""
    assert isinstance(build, OpenVINO)
    if isinstance(request, tasks.RunRequest):
        runtime_is_installed(RUNTIME)
        return forms.run(request, build.runtime_options)
    assert isinstance(request, text_generation.GenerateRequest)
    separate = lora.folders_of(request.model, parts)
    wanted = GenerateRequest(
        model=request.model,
        prompts=request.prompts,
        answers=request.answers,
        in_use=answer_file.in_use(request.answers),
        runtime_options=build.runtime_options,
        draft=DraftedRequest(model=request.model / DRAFT, answers=answer_file.drafted(request.answers)) if build.draft else None,
        adapted=AdaptedRequest(adapters=separate, answers=answer_file.without_adapters(request.answers)) if separate else None,
    )
    return worker("backends.openvino.workers.generate", request=wanted)


def runner(build: BuildOptions, package: Path, device: Device | None) -> Command:
    """The command that answers jobs in openvino_genai, by default on the CPU, with the recipe's options, draft and adapters."""
    assert isinstance(build, OpenVINO)
    runtime_is_installed(RUNTIME)
    draft = package / DRAFT if build.draft else None
    wanted = RunRequest(
        model=package,
        device=device or "CPU",
        runtime_options=given(build.runtime_options),
        draft=draft,
        adapters=lora.folders(package) if build.adapters_are_separate() else (),
    )
    return worker("backends.openvino.workers.run", request=wanted)


def evaluate(build: BuildOptions, package: Path, device: Device | None, wanted: text_generation.EvaluateRequest) -> Command:
    """The command that carries out tasks of lm-eval in OpenVINO, with the recipe's runtime_options.

    Raises:
        Failure: on the NPU, whose graphs give the logits of the last position alone; or with adapters, which OpenVINO alone does not apply.
    """
    assert isinstance(build, OpenVINO)
    if build.adapters_are_separate():
        what = "tasks of lm-eval are carried out without OpenVINO GenAI, which applies this package's adapters"
        raise Failure(what, remedy="evaluate a build with `adapters: merged`")
    if device == "NPU":
        raise Failure("tasks of lm-eval need the logits of all positions, which the NPU does not give", remedy="leave out --device")
    runtime_is_installed(RUNTIME)
    own = EvaluateRequest(**dict(wanted), model=package, device=device or "CPU", runtime_options=given(build.runtime_options))
    return worker("backends.openvino.workers.evaluate", request=own)


def numeric_check(
    label: str, build: BuildOptions, parts: Mapping[str, Step], checkpoint: Step, logits: Step, source_label: str
) -> Step | None:
    """One for an export: what it computes is what every build of it was compressed from."""
    export = parts["config"]
    needs = (("checkpoint", checkpoint), ("export", export), ("logits", logits))
    return numeric.step("openvino", source_label, export.spec, needs, installed(*_NUMERIC_TOOLS))


def fidelity(label: str, build: BuildOptions, parts: Mapping[str, Step], reference: Step, positions: int | None = None) -> Step | None:
    """One for a compressed model and what its users give the runtime; tokenizer and configuration change no logits."""
    assert isinstance(build, OpenVINO)
    spec = FidelitySpec(positions=positions, runtime_options=build.runtime_options)
    needs = (("model", parts["model"]), ("reference", reference))
    return fidelities.step("openvino", label, spec, needs, installed(*FIDELITY_TOOLS))


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that makes an export, a tokenizer or a compressed model, or compares an export's logits."""
    if step.kind == "sensitivity":
        return layers.command(step, inputs, files)
    if step.kind == lora.KIND:
        return lora.command(step, inputs, files)
    if form := forms.of(step.spec):
        return form.command(step, inputs["checkpoint"], files, step.spec_as(CheckpointSpec).remote_code)
    return worker(f"backends.openvino.workers.{_WORKERS[step.kind]}", request=_request(step, inputs, files), upstream=upstream(step))


def _request(step: Step, inputs: Mapping[str, Path], files: Path) -> Request:
    match step.kind:
        case "export":
            remote_code = step.spec_as(CheckpointSpec).remote_code
            return ExportRequest(checkpoint=inputs["checkpoint"], files=files, remote_code=remote_code)
        case "tokenizer":
            remote_code = step.spec_as(CheckpointSpec).remote_code
            return TokenizerRequest(checkpoint=inputs["checkpoint"], files=files, remote_code=remote_code)
        case "compress":
            texts, tokenizer = inputs.get("calibration"), inputs.get("tokenizer")
            return CompressRequest(
                export=inputs["export"], files=files, compression=compression(step), calibration=texts, tokenizer=tokenizer
            )
        case numeric.KIND:
            return LogitsRequest(
                export=inputs["export"],
                checkpoint=inputs["checkpoint"],
                reference=inputs["logits"],
                files=files,
                remote_code=step.spec_as(CheckpointSpec).remote_code,
            )
        case fidelities.KIND:
            wanted = step.spec_as(FidelitySpec)
            return FidelityRequest(
                model=inputs["model"],
                reference=inputs["reference"],
                files=files,
                positions=wanted.positions,
                runtime_options=wanted.runtime_options,
            )
        case _:
            raise ValueError(f"openvino makes no {step.kind}")


def upstream(step: Step) -> str:
    """How to do the same with optimum-cli; "" if it has no words for it, or for a step that is only a part of what it does."""
    if step.kind != "compress":
        return ""
    spec = compression(step)
    words = ["optimum-cli export openvino --model MODEL --task text-generation-with-past --weight-format", spec.weights]
    if not isinstance(spec, FloatSpec):
        if spec.ignored_scope or (isinstance(spec, FourBitSpec) and (spec.calibration or spec.backup_scope)):
            return ""
        words += ["--sym"] if spec.symmetric else []
    if isinstance(spec, FourBitSpec):
        for name in ("group_size", "group_size_fallback", "ratio", "backup_precision", "sensitivity_metric"):
            words.append(f"--{name.replace('_', '-')} {getattr(spec, name)}")
        words += [f"--{name.replace('_', '-')}" for name in ("all_layers", "awq") if getattr(spec, name)]
    return " ".join([*words, "OUT"])
