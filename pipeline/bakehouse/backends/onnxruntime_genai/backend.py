"""Builds model folders for ONNX Runtime GenAI with its own model builder: one step a build, from the downloaded checkpoint.

Nothing is shared among builds. Measured on a model of 0.2e9 weights, of 20 s of processor time for int4: 7.2 imports, 0.2 loading
the checkpoint, 1.4 making the graph, 7.4 quantizing and saving, 2.9 the tokenizer. Only the last could be done once for all, by one
more process that takes 7 s to import the same; and the graph differs by provider and has its weights in the io type.

What a graph should be is ort_rules', whether a checkpoint fits ort_fit's, and what the builder is told ort_words'.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from bakehouse.backends.base import has_pickles, packages
from bakehouse.backends.onnxruntime_genai import verify as ort_rules
from bakehouse.backends.onnxruntime_genai import words as ort_words
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.onnxruntime_genai.preflight import estimate, preflight, room_for
from bakehouse.backends.onnxruntime_genai.quantization import TITLES, OrtFloat
from bakehouse.backends.onnxruntime_genai.workers import plan as ort_plan
from bakehouse.recipe import agreement
from bakehouse.recipe.recipe import BuildOptions
from bakehouse.steps.cost import installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Loose, Report
from bakehouse.steps.step import Step
from bakehouse.store import files as file_tools
from bakehouse.tasks.text_generation import numeric_check as numeric
from bakehouse.tasks.text_generation import tokenizer_findings
from bakehouse.tasks.text_generation.seams import GenerateRequest, TokenizerComparison, TokenizerRead

__all__ = [
    "command", "estimate", "generate", "generate_tools", "has_pickles", "layout", "missing", "numeric_check", "packages", "preflight",
    "room_for", "steps", "targets", "verify",
]  # fmt: skip

FILES = ("genai_config.json", "model.onnx", "model.onnx.data", "tokenizer.json", "tokenizer_config.json")
FORMAT = 3  # of the model step: raised when this code comes to make other bytes from the same options

# One of these brings the runtime and the builder; on Windows the first two bring DirectML too.
RUNTIMES = ("onnxruntime-genai-winml", "onnxruntime-genai-directml", "onnxruntime-genai-cuda", "onnxruntime-genai")
_ENGINES = ("onnxruntime-directml", "onnxruntime-gpu", "onnxruntime")
_BUILD_TOOLS = (*RUNTIMES, *_ENGINES, "onnx", "onnx-ir", "numpy", "tokenizers", "torch", "transformers")
_GENERATE_TOOLS = (*RUNTIMES, *_ENGINES)


def steps(
    label: str, build: BuildOptions, checkpoint: Step, source_label: str, calibration: Step | None, remote_code: bool
) -> dict[str, Step]:
    """The one step that makes model, tokenizer and configuration."""
    spec = Loose(**spelled_out(_ours(build)), remote_code=remote_code)
    needs = (("checkpoint", checkpoint),)
    tools = installed(*_BUILD_TOOLS)
    return {"model": Step(kind="compress", maker="onnxruntime-genai", label=label, spec=spec, needs=needs, tools=tools, format=FORMAT)}


def spelled_out(build: OnnxRuntimeGenAI) -> dict[str, Any]:
    """What the builder is told, nothing left open but whether embeddings are shared, which is the model's to say."""
    return build.normal().model_dump(mode="json", include={"execution_provider", "quantization", "graph_capture"})


def generate_tools() -> dict[str, str]:
    """The versions of the tools that change answers."""
    return installed(*_GENERATE_TOOLS)


def missing(build: BuildOptions) -> str | None:
    """What is not installed and what to do; None if all is there. Of runtimes and engines one is enough."""
    there = installed(*_BUILD_TOOLS)
    absent = [name for name in _BUILD_TOOLS if name not in there and name not in _GENERATE_TOOLS]
    absent += [group[-1] for group in (RUNTIMES, _ENGINES) if not any(name in there for name in group)]
    return f"{', '.join(sorted(absent))} not installed: run `pip install -e .`" if absent else None


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


def generate(build: BuildOptions, parts: Mapping[str, Path], request: GenerateRequest) -> Command:
    """The command that answers the prompts of `request` with onnxruntime_genai, on the build's provider or else on the CPU."""
    below = request.model_copy(update={"model": request.model / folder(build)})
    return worker("backends.onnxruntime_genai.workers.generate", *targets(build), request=below)


# The precision in which the CPU provider runs the graph that the builder makes for a provider (0.18.0 with onnxruntime 1.31.1): of
# cuda, dml and NvTensorRtRtx it does not load the one in float32, and none in bfloat16.
_FLOAT: Mapping[str, Literal["fp32", "fp16"]] = {"cpu": "fp32", "webgpu": "fp32", "cuda": "fp16", "dml": "fp16", "NvTensorRtRtx": "fp16"}


def numeric_check(
    label: str, build: BuildOptions, parts: Mapping[str, Step], checkpoint: Step, logits: Step, source_label: str
) -> Step | None:
    """Of a float build that the CPU provider runs its own; one for all others of a provider, whose graph the builder makes in float."""
    asked = _ours(build)
    needs = (("checkpoint", checkpoint), ("logits", logits))
    weights = _FLOAT[asked.execution_provider]
    if asked.quantization.weights == weights:
        return numeric.step("onnxruntime-genai", label, parts["model"].spec, (*needs, ("model", parts["model"])), installed(*_BUILD_TOOLS))
    plain = asked.model_copy(update={"quantization": OrtFloat(weights=weights, shared_embeddings=None), "graph_capture": None})
    options = spelled_out(plain) | {"remote_code": parts["model"].options["remote_code"]}
    return numeric.step(
        "onnxruntime-genai", f"{source_label}-{asked.execution_provider}", Loose(**options), needs, installed(*_BUILD_TOOLS)
    )


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that makes a model folder, or compares logits."""
    words = json.dumps(ort_words.extra_options(step.options))
    if step.kind == numeric.KIND:
        places = [str(inputs["checkpoint"]), str(inputs["logits"]), str(files), json.dumps(step.options), words]
        return worker(
            "backends.onnxruntime_genai.workers.logits", *places, *(("--model", str(inputs["model"])) if "model" in inputs else ())
        )
    arguments = (str(inputs["checkpoint"]), str(files), json.dumps(step.options), words)
    config = inputs["checkpoint"] / "config.json"
    planned = ort_plan.plan(json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}, step.options)
    return worker("backends.onnxruntime_genai.workers.build", *arguments, upstream=ort_words.upstream(step.options, planned))


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Hold the graph as the worker read it, genai_config.json and the tokenizer against what was asked."""
    if step.kind == numeric.KIND:
        return numeric.verify(files, report)
    absent = tuple(f"{name} was not made" for name in FILES if not (files / name).is_file())
    if absent:
        return Verification(faults=absent)
    graph, tokenizer = report.values["graph"], report.values["tokenizer"]
    compared = TokenizerComparison.model_validate({name: tokenizer[name] for name in TokenizerComparison.model_fields})
    read = TokenizerRead.model_validate({name: {**report.values, **tokenizer}.get(name) for name in TokenizerRead.model_fields})
    source = ort_rules.read_source(inputs["checkpoint"], report.values.get("two_heads", False))
    made = json.loads((files / "genai_config.json").read_text(encoding="utf-8"))
    planned = ort_plan.plan(source.config, step.options)
    faults = [
        *ort_rules.judge_data(graph, {path.name: path.stat().st_size for path in files.iterdir() if path.is_file()}),
        *ort_rules.judge_weights(graph["weights"], source, step.options),
        *ort_rules.judge_interface(graph, made, step.options),
        *ort_rules.judge_config(made, source, step.options),
        *ort_rules.judge_tokenizer(compared, tokenizer["runtime_end_tokens"], made),
    ]
    measured = ort_rules.measure(graph["weights"]) | {
        "context_length": made["model"]["context_length"],
        "end_tokens": ort_rules.end_tokens(made),
        "mended": report.values["mended"],
        "tokenizer_texts_compared": tokenizer["texts"],
        **tokenizer_findings.findings(compared, read, ort_rules.end_tokens(made)).model_dump(mode="json"),
    }
    if planned.cut_from is not None:
        measured |= {"context_cut_from": planned.cut_from, "context_cut_reason": planned.cut_reason}
    measured |= agreement.kept(ort_plan.kept_beyond(source.config, step.options))
    return Verification(measured, tuple(faults))


def _ours(build: BuildOptions) -> OnnxRuntimeGenAI:
    assert isinstance(build, OnnxRuntimeGenAI)
    return build
