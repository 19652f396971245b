"""Reads what an export, a compression and a tokenizer of the OpenVINO backend are, and compares it with the step."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

from bakehouse.backends.openvino import adapters as lora
from bakehouse.backends.openvino import forms, parts
from bakehouse.backends.openvino import verify as openvino_rules
from bakehouse.backends.openvino.form import Form
from bakehouse.backends.openvino.preflight import DTYPES, named_dtype
from bakehouse.backends.openvino.seams import (
    CompressResult,
    ExportResult,
    MeasuredExport,
    MeasuredParts,
    MeasuredTokenizer,
    PlainTokenizerResult,
    TokenizerResult,
    compression,
)
from bakehouse.formats import config_json, fields, openvino_ir
from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation import fidelity as fidelities
from bakehouse.tasks.text_generation import layers, tokenizer_findings
from bakehouse.tasks.text_generation import numeric_check as numeric
from bakehouse.tasks.text_generation.workers import end_tokens, positions

MODEL = "openvino_model"
TOKENIZER_FILES = tuple(f"openvino_{part}tokenizer.{end}" for part in ("", "de") for end in ("xml", "bin"))
CONFIGS = ("config.json", "generation_config.json")
_MOST_NAMED = 3


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare what was made with the recipe: weights counted from the model's XML, tokenizers as compared by the worker."""
    match step.kind:
        case "tokenizer" if form := forms.of(step.spec):
            return _verify_plain_tokenizer(form, files, report)
        case "tokenizer":
            return _verify_tokenizer(inputs["checkpoint"], files, report)
        case lora.KIND:
            return lora.verify(files, report)
        case "export" | "compress":
            return _verify_model(step, inputs, files, report)
        case numeric.KIND:
            return numeric.verify(files, report)
        case fidelities.KIND:
            return fidelities.verify(files)
        case "sensitivity":
            return layers.verify(files, report)
        case _:
            raise ValueError(f"openvino makes no {step.kind}")


# What is judged of a model is measured in the same pass over its XML.
def _verify_model(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    form = forms.of(_exported(step).spec)
    names = form.components_of(_kind(inputs)) if form else (MODEL,)
    if absent := _absent(files, (*(f"{name}.{end}" for name in names for end in ("xml", "bin")), *_beside(step, form))):
        return Verification(faults=absent)
    found = {name: _verify_part(name, step, inputs, files, report) for name in names}
    faults = [f"{_title(name, names)}{fault}" for name, part in found.items() for fault in part.faults]
    if step.kind == "export":
        faults += form.faults(inputs["checkpoint"], files) if form else _of_end_tokens(inputs["checkpoint"], files)
    else:
        faults += (f"NNCF skipped a requested option: {message}" for message in report.read(CompressResult).skipped)
    if len(found) == 1:
        return Verification(found[names[0]].measured, tuple(faults))
    return Verification(_joined(found), tuple(faults))


def _kind(inputs: Mapping[str, Path]) -> str:
    """The model type that the checkpoint, or the export of it, names; "" for a pipeline of several models."""
    folder = inputs.get("checkpoint") or inputs["export"]
    return fields.text(config_json.read(folder), "model_type") if (folder / config_json.NAME).is_file() else ""


def _exported(step: Step) -> Step:
    return step if step.kind == "export" else step.need("export")


def _title(name: str, names: tuple[str, ...]) -> str:
    """Which of several models a sentence is about: "encoder: "."""
    return f"{_short(name)}: " if len(names) > 1 else ""


def _short(name: str) -> str:
    return name.removesuffix("/openvino_model").removeprefix("openvino_").removesuffix("_model")


def _joined(found: Mapping[str, Verification]) -> dict[str, JsonValue]:
    """What was measured of several models, and the sums."""
    weights, exported = Counter[str](), 0
    for part in found.values():
        counted = part.measured.get("weights")
        weights.update(counted if isinstance(counted, dict) else {})
        exported += number if isinstance(number := part.measured.get("exported_weights"), int) else 0
    measured = {_short(name): dict(part.measured) for name, part in found.items()}
    return MeasuredParts(weights=dict(weights) or None, exported_weights=exported or None, parts=measured).model_dump(mode="json")


def _verify_part(name: str, step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """One of the models that a step makes."""
    try:
        model = openvino_ir.read(files / f"{name}.xml", convolutions=name != MODEL)
    except openvino_ir.NotAnIR as error:
        return Verification(faults=(f"{name}.xml is not a model: {error}",))
    size = (files / f"{name}.bin").stat().st_size
    sizes = () if size == model.bin_bytes else (f"{name}.bin has {size} bytes, the model refers to {model.bin_bytes}",)
    if step.kind == "export":
        found = _verify_export(name, model, inputs["checkpoint"], report.read(ExportResult))
    else:
        source = openvino_ir.read(inputs["export"] / f"{name}.xml", convolutions=name != MODEL)
        spec = parts.spec_of(name, compression(step))
        measured = openvino_rules.measure(model, source, spec).model_dump(mode="json")
        found = Verification(measured, openvino_rules.judge(model, source, spec))
    return Verification(found.measured, (*sizes, *found.faults))


def _beside(step: Step, form: Form | None) -> tuple[str, ...]:
    """The files that a step makes besides the models."""
    if step.kind != "export":
        return ("openvino_config.json",)
    return form.beside if form else CONFIGS


def _verify_export(name: str, model: openvino_ir.Model, checkpoint: Path, result: ExportResult) -> Verification:
    config = config_json.read(checkpoint)
    dtype = DTYPES[named_dtype(config) or result.dtype]
    other = [weight for weight in model.weights if weight.type != dtype]
    # Stored in 32 bits, and every number is one of 16: these are the checkpoint's values.
    exact = {one.removeprefix(f"{name}:") for one in result.exact_f32 or () if name == MODEL or one.startswith(f"{name}:")}
    wider = [weight for weight in other if weight.type == "f32" and weight.name in exact]
    wrong = [weight for weight in other if weight not in wider]
    faults = [f"the weight of {wrong[0].user} is {wrong[0].type}, should be {dtype} as in the checkpoint"] if wrong else []
    if not model.weights:
        faults.append("the model has no weights")
    measured = MeasuredExport(
        exported_weights=sum(weight.count for weight in model.weights),
        exported_as=dtype,
        context_length=positions.context(config),
        cache_kept_beyond=positions.recomputed_at(config),
        exported_as_f32=tuple(weight.user for weight in wider),
    )
    return Verification(measured.model_dump(mode="json"), tuple(faults))


def _of_end_tokens(checkpoint: Path, files: Path) -> Iterator[str]:
    """Whether answers end where the checkpoint's do."""
    generation = json.loads((files / end_tokens.GENERATION).read_text(encoding="utf-8"))
    ends, source_ends = end_tokens.listed(generation.get("eos_token_id")), end_tokens.of(checkpoint)
    if not ends:
        yield "generation_config.json names no end token, so answers would not end"
    elif source_ends and ends != source_ends:
        yield f"generation_config.json names the end tokens {ends}, the checkpoint {source_ends}: answers would end elsewhere"


def _verify_tokenizer(checkpoint: Path, files: Path, report: Report) -> Verification:
    absent = _absent(files, (*TOKENIZER_FILES, "tokenizer_config.json"))
    if absent:
        return Verification(faults=absent)
    result = report.read(TokenizerResult)
    faults = tokenizer_findings.faults("OpenVINO GenAI", result.comparison)
    eos = result.eos_token_id
    ends = end_tokens.of(checkpoint) or end_tokens.listed(eos)
    written = openvino_ir.info(files / "openvino_tokenizer.xml").get("eos_token_id")
    if eos is not None and written != str(eos):
        faults.append(f"openvino_tokenizer.xml says that the end token is {written}, the tokenizer {eos}")
    measured = MeasuredTokenizer(tokenizer_texts_compared=result.comparison.texts, end_tokens=tuple(ends))
    found = tokenizer_findings.findings(result.comparison, result, ends)
    return Verification(measured.model_dump(mode="json") | found.model_dump(mode="json"), tuple(faults))


def _verify_plain_tokenizer(form: Form, files: Path, report: Report) -> Verification:
    """Complete, and with the tokens of transformers; texts of tokens are its texts where the task makes some."""
    names = TOKENIZER_FILES if form.decodes else TOKENIZER_FILES[:2]
    if absent := _absent(files / form.tokenizer_folder, (*names, "tokenizer_config.json")):
        return Verification(faults=absent)
    result, faults = report.read(PlainTokenizerResult), []
    if len(result.different) > result.texts // form.few:
        faults.append(f"OpenVINO's tokenizer makes other tokens than transformers' of {_shown(result.different)}")
    if result.decoded:
        faults.append(f"OpenVINO's tokenizer makes other texts than transformers' of the tokens of {_shown(result.decoded)}")
    return Verification({"tokenizer_texts_compared": result.texts, "tokenizer_texts_different": [*result.different]}, tuple(faults))


def _shown(texts: tuple[str, ...]) -> str:
    return ", ".join(map(repr, texts[:_MOST_NAMED]))


def _absent(files: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name} was not made" for name in names if not (files / name).is_file())
