"""Builds OpenVINO IR: one export and one tokenizer a checkpoint, any number of precisions compressed from that export.

What a model's XML says is read by openvino_ir and judged by openvino_rules; whether a checkpoint fits is openvino_fit's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

from pydantic import JsonValue

from bakehouse.backends.base import has_pickles, in_use, packages, room_for
from bakehouse.backends.openvino import options as openvino_options
from bakehouse.backends.openvino import verify as openvino_rules
from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.backends.openvino.preflight import DTYPES, estimate, preflight, told_dtype
from bakehouse.backends.openvino.quantization import FourBit, normal
from bakehouse.formats import openvino_ir
from bakehouse.recipe import agreement
from bakehouse.recipe.recipe import BuildOptions
from bakehouse.steps.cost import installed
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Loose, Report
from bakehouse.steps.step import Kind, Step
from bakehouse.store import files as file_tools
from bakehouse.tasks.text_generation import numeric_check as numeric
from bakehouse.tasks.text_generation import tokenizer_findings
from bakehouse.tasks.text_generation.seams import GenerateRequest, TokenizerComparison, TokenizerRead
from bakehouse.tasks.text_generation.workers import end_tokens, positions

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


def steps(
    label: str, build: BuildOptions, checkpoint: Step, source_label: str, calibration: Step | None, remote_code: bool
) -> dict[str, Step]:
    """Model, tokenizer and config: the export serves as the config and, with every other build of the checkpoint, as the model's source."""
    shared = {"remote_code": remote_code}
    needs = (("checkpoint", checkpoint),)

    def of_checkpoint(kind: Literal["export", "tokenizer"], tools: tuple[str, ...]) -> Step:
        found = installed(*tools)
        return Step(
            kind=kind, maker="openvino", label=source_label, spec=Loose(**shared), needs=needs, tools=found, format=FORMATS.get(kind, 1)
        )

    export, tokenizer = of_checkpoint("export", _EXPORT_TOOLS), of_checkpoint("tokenizer", _TOKENIZER_TOOLS)
    options = spelled_out(build)
    tools = ("openvino",) if options["weights"] in ("fp16", "fp32") else ("nncf", "openvino")
    compress = Step(
        kind="compress",
        maker="openvino",
        label=label,
        spec=Loose(**options),
        needs=(("export", export), *((("calibration", calibration), ("tokenizer", tokenizer)) if calibration else ())),
        tools=installed(*tools, *(_CALIBRATION_TOOLS if calibration else ())),
    )
    return {"model": compress, "tokenizer": tokenizer, "config": export}


def spelled_out(build: BuildOptions) -> dict[str, Any]:
    """Every quantization option, also those that a format does not let one choose; of a calibration only how it is used."""
    assert isinstance(build, OpenVINO)
    options = normal(build.quantization).model_dump(mode="json")
    if not isinstance(build.quantization, FourBit):
        return options
    fixed: dict[str, Any] = {"group_size": 32, "awq": False, "scale_estimation": False, "gptq": False, "lora_correction": False}
    texts = options["calibration"]
    used = {name: texts[name] for name in ("num_samples", "max_tokens")} if texts else None
    return {**fixed, **options, "calibration": used}


def generate_tools() -> dict[str, str]:
    """The versions of the tools that change answers."""
    return installed(*_GENERATE_TOOLS)


def missing(build: BuildOptions) -> str | None:
    """What is not installed and what to do; None if all is there."""
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


def generate(build: BuildOptions, parts: Mapping[str, Path], request: GenerateRequest) -> Command:
    """The command that answers the prompts of `request` in openvino_genai on the CPU: exactly, and as its users do."""
    assert isinstance(build, OpenVINO)
    options = json.dumps(openvino_options.given(build.runtime_options))
    return worker("backends.openvino.workers.generate", str(in_use(request.answers)), options, request=request)


def numeric_check(
    label: str, build: BuildOptions, parts: Mapping[str, Step], checkpoint: Step, logits: Step, source_label: str
) -> Step | None:
    """One for an export: what it computes is what every build of it was compressed from."""
    export = parts["config"]
    needs = (("checkpoint", checkpoint), ("export", export), ("logits", logits))
    return numeric.step("openvino", source_label, export.spec, needs, installed(*_NUMERIC_TOOLS))


def command(step: Step, inputs: Mapping[str, Path], files: Path) -> Command:
    """The command that makes an export, a tokenizer or a compressed model, or compares an export's logits."""
    if step.kind == numeric.KIND:
        places = [str(inputs[role]) for role in ("export", "checkpoint", "logits")]
        return worker("backends.openvino.workers.logits", *places, str(files), json.dumps(step.options))
    kinds: dict[Kind, str] = {"export": "checkpoint", "tokenizer": "checkpoint", "compress": "export"}
    source = inputs[kinds[step.kind]]
    arguments = [str(source), str(files), json.dumps(step.options)]
    for role in ("calibration", "tokenizer"):
        if step.kind == "compress" and role in inputs:
            arguments += [f"--{role}", str(inputs[role])]
    return worker(f"backends.openvino.workers.{step.kind}", *arguments, upstream=upstream(step))


def upstream(step: Step) -> str:
    """How to do the same with optimum-cli; "" if it has no words for it, or for a step that is only a part of what it does."""
    options = step.options
    if step.kind != "compress" or options.get("ignored_scope") or options.get("calibration"):
        return ""
    words = ["optimum-cli export openvino --model MODEL --task text-generation-with-past --weight-format", options["weights"]]
    words += ["--sym"] if options.get("symmetric") else []
    if "ratio" in options:
        for name in ("group_size", "group_size_fallback", "ratio", "backup_precision", "sensitivity_metric"):
            words.append(f"--{name.replace('_', '-')} {options[name]}")
        words += [f"--{name.replace('_', '-')}" for name in ("all_layers", "awq") if options[name]]
    return " ".join([*words, "OUT"])


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Hold what was made against what was asked: weights counted from the model's XML, tokenizers as compared by the worker."""
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
        return Verification(faults=(f"{MODEL}.xml is not whole: {error}",))
    size = (files / f"{MODEL}.bin").stat().st_size
    sizes = () if size == model.bin_bytes else (f"{MODEL}.bin has {size} bytes, the model refers to {model.bin_bytes}",)
    if step.kind == "export":
        found = _verify_export(model, inputs["checkpoint"], files, report)
    else:
        source = openvino_ir.read(inputs["export"] / f"{MODEL}.xml")
        skipped = tuple(f"NNCF skipped a requested option: {message}" for message in report.values.get("skipped", ()))
        found = Verification(
            openvino_rules.measure(model, source, step.options), (*openvino_rules.judge(model, source, step.options), *skipped)
        )
    return Verification(found.measured, (*sizes, *found.faults))


def _verify_export(model: openvino_ir.Model, checkpoint: Path, files: Path, report: Report) -> Verification:
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    dtype = DTYPES[told_dtype(config) or report.values["dtype"]]
    other = [weight for weight in model.weights if weight.type != dtype]
    # Stored in 32 bits, and every number is one of 16: these are the checkpoint's values.
    wider = [weight for weight in other if weight.type == "f32" and weight.name in report.values.get("exact_f32", ())]
    wrong = [weight for weight in other if weight not in wider]
    faults = [f"the weight of {wrong[0].user} is {wrong[0].type}, should be {dtype} as in the checkpoint"] if wrong else []
    if not model.weights:
        faults.append("the model has no weights")
    told = json.loads((files / end_tokens.GENERATION).read_text(encoding="utf-8"))
    ends, source_ends = end_tokens.listed(told.get("eos_token_id")), end_tokens.of(checkpoint)
    if not ends:
        faults.append("generation_config.json names no end token, so answers would not end")
    elif source_ends and ends != source_ends:
        faults.append(f"generation_config.json names the end tokens {ends}, the checkpoint {source_ends}: answers would end elsewhere")
    measured: dict[str, Any] = {
        "exported_weights": sum(weight.count for weight in model.weights),
        "exported_as": dtype,
        "context_length": positions.context(config),
    } | agreement.kept(positions.recomputed_at(config))
    return Verification(measured | ({"exported_as_f32": [weight.user for weight in wider]} if wider else {}), tuple(faults))


def _verify_tokenizer(checkpoint: Path, files: Path, report: Report) -> Verification:
    absent = _absent(files, (*TOKENIZER_FILES, "tokenizer_config.json"))
    if absent:
        return Verification(faults=absent)
    compared = TokenizerComparison.model_validate(report.values["comparison"])
    read = TokenizerRead.model_validate({name: report.values.get(name) for name in TokenizerRead.model_fields})
    faults = tokenizer_findings.faults("OpenVINO GenAI", compared)
    eos = report.values["eos_token_id"]
    ends = end_tokens.of(checkpoint) or end_tokens.listed(eos)
    told = openvino_ir.info(files / "openvino_tokenizer.xml").get("eos_token_id")
    if eos is not None and told != str(eos):
        faults.append(f"openvino_tokenizer.xml says that the end token is {told}, the tokenizer {eos}")
    measured: dict[str, JsonValue] = {"tokenizer_texts_compared": compared.texts, "end_tokens": list(ends)}
    measured |= tokenizer_findings.findings(compared, read, ends).model_dump(mode="json")
    return Verification(measured, tuple(faults))


def _absent(files: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name} was not made" for name in names if not (files / name).is_file())
