"""Builds OpenVINO IR: one export and one tokenizer a checkpoint, any number of precisions compressed from that export.

`formats.openvino_ir` reads what a model's XML has, `verify` judges it; `preflight` judges whether a checkpoint fits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from bakehouse.backends.base import has_pickles, in_use, packages, room_for
from bakehouse.backends.openvino import verify as openvino_rules
from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.backends.openvino.preflight import DTYPES, estimate, named_dtype, preflight
from bakehouse.backends.openvino.quantization import Float, FourBit, Int8, normal
from bakehouse.backends.openvino.seams import (
    CalibrationUse,
    CheckpointSpec,
    Compression,
    CompressRequest,
    CompressResult,
    ExportRequest,
    ExportResult,
    FloatSpec,
    FourBitSpec,
    GenerateRequest,
    Int8Spec,
    LogitsRequest,
    MeasuredExport,
    MeasuredTokenizer,
    TokenizerRequest,
    TokenizerResult,
    compression,
)
from bakehouse.formats import openvino_ir
from bakehouse.recipe.recipe import BuildOptions
from bakehouse.steps.cost import installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report, Request
from bakehouse.steps.step import Kind, Step
from bakehouse.store import files as file_tools
from bakehouse.tasks.text_generation import numeric_check as numeric
from bakehouse.tasks.text_generation.workers import end_tokens, hard_texts, positions

__all__ = [
    "command", "estimate", "generate", "generate_tools", "has_pickles", "layout", "missing", "numeric_check", "packages", "preflight",
    "room_for", "steps", "targets", "verify",
]  # fmt: skip

MODEL = "openvino_model"
TOKENIZER_FILES = tuple(f"openvino_{part}tokenizer.{end}" for part in ("", "de") for end in ("xml", "bin"))
CONFIGS = ("config.json", "generation_config.json")

FORMATS = {"export": 2, "tokenizer": 3}  # raised when this code comes to make other bytes from the same options

_EXPORT_TOOLS = ("openvino", "optimum", "optimum-intel", "torch", "transformers")
_TOKENIZER_TOOLS = ("openvino", "openvino-genai", "openvino-tokenizers", "tokenizers", "transformers")
_GENERATE_TOOLS = ("openvino", "openvino-genai", "openvino-tokenizers")
_NUMERIC_TOOLS = ("numpy", *_EXPORT_TOOLS)
_CALIBRATION_TOOLS = ("numpy", "scipy", "tokenizers", "transformers")
_WORKERS: Mapping[Kind, str] = {"export": "export", "tokenizer": "tokenizer", "compress": "compress", "numeric_check": "logits"}


def steps(
    label: str, build: BuildOptions, checkpoint: Step, source_label: str, calibration: Step | None, remote_code: bool
) -> dict[str, Step]:
    """Model, tokenizer and config: the export serves as the config and, with every other build of the checkpoint, as the model's source."""
    spec = CheckpointSpec(remote_code=remote_code)
    needs = (("checkpoint", checkpoint),)

    def of_checkpoint(kind: Literal["export", "tokenizer"], tools: tuple[str, ...]) -> Step:
        found = installed(*tools)
        return Step(kind=kind, maker="openvino", label=source_label, spec=spec, needs=needs, tools=found, format=FORMATS.get(kind, 1))

    export, tokenizer = of_checkpoint("export", _EXPORT_TOOLS), of_checkpoint("tokenizer", _TOKENIZER_TOOLS)
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


def generate_tools() -> dict[str, str]:
    """The versions of the tools that change answers."""
    return installed(*_GENERATE_TOOLS)


def missing(build: BuildOptions) -> str | None:
    """What is not installed and what to do; None if everything is installed."""
    wanted = sorted({*_EXPORT_TOOLS, *_TOKENIZER_TOOLS, *_GENERATE_TOOLS, "nncf"})
    found = installed(*wanted)
    absent = [name for name in wanted if name not in found]
    return f"{', '.join(absent)} not installed: run `pip install -e .`" if absent else None


def layout(build: BuildOptions, parts: Mapping[str, Path]) -> dict[str, Path]:
    """The flat folder that the OpenVINO organisation publishes."""
    named = {name: parts["config"] / name for name in CONFIGS}
    folders = (parts["tokenizer"], parts["model"])
    return named | {path.relative_to(folder).as_posix(): path for folder in folders for path in file_tools.walk(folder)}


def targets(build: BuildOptions) -> tuple[str, ...]:
    """IR is the same for every device that OpenVINO compiles it for."""
    return ("CPU", "GPU")


def generate(build: BuildOptions, parts: Mapping[str, Path], model_folder: Path, request: Path, answers: Path) -> Command:
    """The command that answers the prompts of `request` in openvino_genai on the CPU: exactly, and as its users do."""
    assert isinstance(build, OpenVINO)
    wanted = GenerateRequest(
        model=model_folder, prompts=request, answers=answers, in_use=in_use(answers), runtime_options=build.runtime_options
    )
    return worker("backends.openvino.workers.generate", request=wanted)


def numeric_check(
    label: str, build: BuildOptions, parts: Mapping[str, Step], checkpoint: Step, logits: Step, source_label: str
) -> Step | None:
    """One for an export: what it computes is what every build of it was compressed from."""
    export = parts["config"]
    needs = (("checkpoint", checkpoint), ("export", export), ("logits", logits))
    return numeric.step("openvino", source_label, export.options, needs, installed(*_NUMERIC_TOOLS))


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that makes an export, a tokenizer or a compressed model, or compares an export's logits."""
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
                remote_code=bool(step.options["remote_code"]),
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
        if spec.ignored_scope or (isinstance(spec, FourBitSpec) and spec.calibration):
            return ""
        words += ["--sym"] if spec.symmetric else []
    if isinstance(spec, FourBitSpec):
        for name in ("group_size", "group_size_fallback", "ratio", "backup_precision", "sensitivity_metric"):
            words.append(f"--{name.replace('_', '-')} {getattr(spec, name)}")
        words += [f"--{name.replace('_', '-')}" for name in ("all_layers", "awq") if getattr(spec, name)]
    return " ".join([*words, "OUT"])


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare what was made with the recipe: weights counted from the model's XML, tokenizers as compared by the worker."""
    match step.kind:
        case "tokenizer":
            return _verify_tokenizer(inputs["checkpoint"], files, report)
        case "export" | "compress":
            return _verify_model(step, inputs, files, report)
        case numeric.KIND:
            return numeric.verify(files, report)
        case _:
            raise ValueError(f"openvino makes no {step.kind}")


# What is judged of a model is measured in the same pass over its XML.
def _verify_model(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    absent = _absent(files, (f"{MODEL}.xml", f"{MODEL}.bin", *(CONFIGS if step.kind == "export" else ("openvino_config.json",))))
    if absent:
        return Verification(faults=absent)
    try:
        model = openvino_ir.read(files / f"{MODEL}.xml")
    except ElementTree.ParseError as error:
        return Verification(faults=(f"{MODEL}.xml is not complete: {error}",))
    size = (files / f"{MODEL}.bin").stat().st_size
    sizes = () if size == model.bin_bytes else (f"{MODEL}.bin has {size} bytes, the model refers to {model.bin_bytes}",)
    if step.kind == "export":
        found = _verify_export(model, inputs["checkpoint"], files, report.read(ExportResult))
    else:
        source, spec = openvino_ir.read(inputs["export"] / f"{MODEL}.xml"), compression(step)
        skipped = tuple(f"NNCF skipped a requested option: {message}" for message in report.read(CompressResult).skipped)
        measured = openvino_rules.measure(model, source, spec).model_dump(mode="json")
        found = Verification(measured, (*openvino_rules.judge(model, source, spec), *skipped))
    return Verification(found.measured, (*sizes, *found.faults))


def _verify_export(model: openvino_ir.Model, checkpoint: Path, files: Path, result: ExportResult) -> Verification:
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    dtype = DTYPES[named_dtype(config) or result.dtype]
    other = [weight for weight in model.weights if weight.type != dtype]
    # Stored in 32 bits, and every number is one of 16: these are the checkpoint's values.
    wider = [weight for weight in other if weight.type == "f32" and weight.name in (result.exact_f32 or ())]
    wrong = [weight for weight in other if weight not in wider]
    faults = [f"the weight of {wrong[0].user} is {wrong[0].type}, should be {dtype} as in the checkpoint"] if wrong else []
    if not model.weights:
        faults.append("the model has no weights")
    generation = json.loads((files / end_tokens.GENERATION).read_text(encoding="utf-8"))
    ends, source_ends = end_tokens.listed(generation.get("eos_token_id")), end_tokens.of(checkpoint)
    if not ends:
        faults.append("generation_config.json names no end token, so answers would not end")
    elif source_ends and ends != source_ends:
        faults.append(f"generation_config.json names the end tokens {ends}, the checkpoint {source_ends}: answers would end elsewhere")
    measured = MeasuredExport(
        exported_weights=sum(weight.count for weight in model.weights),
        exported_as=dtype,
        context_length=positions.context(config),
        cache_kept_beyond=positions.recomputed_at(config),
        exported_as_f32=tuple(weight.user for weight in wider),
    )
    return Verification(measured.model_dump(mode="json"), tuple(faults))


def _verify_tokenizer(checkpoint: Path, files: Path, report: Report) -> Verification:
    absent = _absent(files, (*TOKENIZER_FILES, "tokenizer_config.json"))
    if absent:
        return Verification(faults=absent)
    result = report.read(TokenizerResult)
    compared = result.comparison.model_dump()
    faults = hard_texts.faults("OpenVINO GenAI", compared)
    eos = result.eos_token_id
    ends = end_tokens.of(checkpoint) or end_tokens.listed(eos)
    written = openvino_ir.info(files / "openvino_tokenizer.xml").get("eos_token_id")
    if eos is not None and written != str(eos):
        faults.append(f"openvino_tokenizer.xml says that the end token is {written}, the tokenizer {eos}")
    measured = {"tokenizer_texts_compared": result.comparison.texts, "end_tokens": ends}
    measured |= hard_texts.limits(compared) | end_tokens.remarks(result.model_dump(exclude_none=True), ends)
    return Verification(MeasuredTokenizer.model_validate(measured).model_dump(mode="json"), tuple(faults))


def _absent(files: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name} was not made" for name in names if not (files / name).is_file())
