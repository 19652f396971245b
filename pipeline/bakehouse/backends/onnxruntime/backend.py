"""Builds ONNX graphs of embedding models and rerankers: one export and one tokenizer a checkpoint, any number of precisions made of it.

A package has the layout of the hub's repositories of such models: `onnx/model.onnx`, or `model_fp16.onnx`, or `model_quantized.onnx`, with
config.json, the tokenizer, and what sentence-transformers reads next to the folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from bakehouse.backends.base import Device, adapters, has_pickles, keeping, packages, profiles, room_for, sensitivity, tags, tags_here
from bakehouse.backends.onnxruntime.options import FOLDER, GRAPHS, OnnxInt8, OnnxRuntime
from bakehouse.backends.onnxruntime.preflight import EXPORTABLE, estimate, preflight
from bakehouse.backends.onnxruntime.proposals import proposals
from bakehouse.backends.onnxruntime.seams import (
    CheckpointSpec,
    ConvertRequest,
    ConvertSpec,
    EmbedRequest,
    ExportRequest,
    RerankRequest,
    Task,
    TokenizerRequest,
)
from bakehouse.backends.onnxruntime.verify import verify
from bakehouse.errors import Failure, NotInstalled
from bakehouse.formats import fields
from bakehouse.formats.config_json import Config
from bakehouse.recipe.kinds import DEFAULT_TASK, BuildOptions
from bakehouse.steps.cost import installed, not_installed
from bakehouse.steps.maker import Command, worker
from bakehouse.steps.seam import Request
from bakehouse.steps.step import Kind, Step
from bakehouse.store import files as file_tools
from bakehouse.tasks.embeddings import pooling
from bakehouse.tasks.embeddings import seams as embeddings
from bakehouse.tasks.reranker import seams as reranker
from bakehouse.tasks.text_generation.seams import EvaluateRequest
from bakehouse.toolchains.table import INSTALLED
from bakehouse.toolchains.table import Name as Toolchain

__all__ = [
    "abilities", "adapters", "command", "devices", "estimate", "evaluate", "fidelity", "generate", "generate_tools", "has_pickles",
    "keeping", "layout", "missing", "model_types", "numeric_check", "packages", "preflight", "profiles", "proposals", "room_for",
    "runner", "sensitivity", "steps", "tags", "tags_here", "targets", "toolchains", "verify",
]  # fmt: skip

FORMATS = {"tokenizer": 2}  # raised when this code comes to make other bytes from the same options; 2: with a class that transformers 4 has
_ENGINES = ("onnxruntime-directml", "onnxruntime-gpu", "onnxruntime")  # one of these brings the runtime and its quantizer
_EXPORT_TOOLS = ("onnx", "torch", "transformers")
_TOKENIZER_TOOLS = ("tokenizers", "transformers")


def steps(
    label: str,
    build: BuildOptions,
    checkpoint: Step,
    source_label: str,
    calibration: Step | None,
    remote_code: bool,
    task: str = DEFAULT_TASK,
) -> dict[str, Step]:
    """Model, tokenizer and export; the last two are shared with every other build of the checkpoint."""
    spec = CheckpointSpec(task=cast(Task, task), remote_code=remote_code)
    needs = (("checkpoint", checkpoint),)

    def of_checkpoint(kind: Kind, tools: tuple[str, ...]) -> Step:
        found = installed(*tools)
        return Step(kind=kind, maker="onnxruntime", label=source_label, spec=spec, needs=needs, tools=found, format=FORMATS.get(kind, 1))

    export = of_checkpoint("export", _EXPORT_TOOLS)
    model = Step(
        kind="compress",
        maker="onnxruntime",
        label=label,
        spec=_spelled_out(_ours(build)),
        needs=(("export", export),),
        tools=installed("onnx", *_ENGINES),
    )
    return {"model": model, "tokenizer": of_checkpoint("tokenizer", _TOKENIZER_TOOLS), "config": export}


def _spelled_out(build: OnnxRuntime) -> ConvertSpec:
    done = build.quantization
    return ConvertSpec(weights=done.weights, reduce_range=done.reduce_range if isinstance(done, OnnxInt8) else None)


def generate_tools(build: BuildOptions) -> dict[str, str]:
    """The versions of the tools that change what a model gives."""
    return installed(*_ENGINES, "tokenizers")


def missing(build: BuildOptions) -> str | None:
    """What is not installed and what to do; None if nothing is missing. Of the engines one is enough."""
    return _missing()


def _missing() -> str | None:
    engine = () if installed(*_ENGINES) else _ENGINES[-1:]
    return not_installed(sorted({*_EXPORT_TOOLS, *_TOKENIZER_TOOLS, *engine}))


def abilities() -> dict[str, str | None]:
    """All its builds need the same tools."""
    return {"embedding models and rerankers": _missing()}


def devices() -> Command | None:
    """Models are run on the CPU, which every machine has."""
    return None


def layout(build: BuildOptions, parts: Mapping[str, Path]) -> dict[str, Path]:
    """The layout of the hub's repositories of such models."""
    checkpoint = parts["checkpoint"]
    named = ("config.json", *pooling.FILES)
    configs = {name: checkpoint / name for name in named if (checkpoint / name).is_file()}
    folders = (parts["tokenizer"], parts["model"])
    return configs | {path.relative_to(folder).as_posix(): path for folder in folders for path in file_tools.walk(folder)}


def targets(build: BuildOptions) -> tuple[str, ...]:
    """A graph is the same for every execution provider; the CPU's is the one that it is tried on."""
    return ("CPU",)


def generate(build: BuildOptions, parts: Mapping[str, Path], request: Request) -> Command:
    """The command that gives a model texts in ONNX Runtime, on the CPU.

    Raises:
        Failure: another device is requested. NotInstalled: the runtime is missing.
    """
    if not installed(*_ENGINES):
        raise NotInstalled("onnxruntime not installed", remedy="`pip install 'bakehouse[build]'` brings the runtimes")
    graph = _ours(build).graph()
    match request:
        case embeddings.EmbedRequest():
            _refuse_device(request.device)
            return worker("backends.onnxruntime.workers.embed", request=EmbedRequest(**dict(request), graph=graph))
        case reranker.RerankRequest():
            _refuse_device(request.device)
            return worker("backends.onnxruntime.workers.rerank", request=RerankRequest(**dict(request), graph=graph))
        case _:
            raise ValueError(f"onnxruntime has no {type(request).__name__}")


def _refuse_device(device: str | None) -> None:
    if device not in (None, "CPU"):
        raise Failure(f"models for ONNX Runtime are run on the CPU here, not on a {device}", remedy="leave out --device")


def _writes_no_text() -> Failure:
    what = "models for ONNX Runtime turn texts into vectors or scores, and write none"
    return Failure(what, remedy="use `bakehouse run`, or a build for another runtime")


def runner(build: BuildOptions, package: Path, device: Device | None) -> Command:
    """Refused: no such model writes text."""
    raise _writes_no_text()


def evaluate(build: BuildOptions, package: Path, device: Device | None, wanted: EvaluateRequest) -> Command:
    """Refused: no such model writes text."""
    raise _writes_no_text()


def numeric_check(
    label: str, build: BuildOptions, parts: Mapping[str, Step], checkpoint: Step, logits: Step, source_label: str
) -> Step | None:
    """None: what its models give is compared with the source's itself."""
    return None


def fidelity(label: str, build: BuildOptions, parts: Mapping[str, Step], reference: Step, positions: int | None = None) -> Step | None:
    """None, for the same reason."""
    return None


def model_types(task: str = DEFAULT_TASK) -> Mapping[str, tuple[Toolchain, ...]]:
    """Those whose graphs were measured, with the installed toolchain."""
    return dict.fromkeys(sorted(EXPORTABLE.get(task, ())), (INSTALLED,))


def toolchains(config: Config, task: str = DEFAULT_TASK) -> tuple[Toolchain, ...]:
    """Graphs are made with the installed one."""
    return model_types(task).get(fields.text(config, "model_type"), ())


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that makes an export, a tokenizer or a converted graph."""
    if step.kind == "compress":
        spec = step.spec_as(ConvertSpec)
        request = ConvertRequest(export=inputs["export"], files=files, graph=f"{FOLDER}/{GRAPHS[spec.weights]}", spec=spec)
        return worker("backends.onnxruntime.workers.convert", request=request)
    of_checkpoint = step.spec_as(CheckpointSpec)
    kind = ExportRequest if step.kind == "export" else TokenizerRequest
    wanted = kind(checkpoint=inputs["checkpoint"], files=files, task=of_checkpoint.task, remote_code=of_checkpoint.remote_code)
    return worker(f"backends.onnxruntime.workers.{step.kind}", request=wanted)


def _ours(build: BuildOptions) -> OnnxRuntime:
    assert isinstance(build, OnnxRuntime)
    return build
