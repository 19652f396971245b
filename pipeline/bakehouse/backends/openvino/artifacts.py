"""Reads what an export, a compression and a tokenizer of the OpenVINO backend are, and compares it with the step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from bakehouse.backends.openvino import embeddings, layers
from bakehouse.backends.openvino import verify as openvino_rules
from bakehouse.backends.openvino.preflight import DTYPES, named_dtype
from bakehouse.backends.openvino.seams import (
    CompressResult,
    EmbeddingSpec,
    ExportResult,
    MeasuredExport,
    MeasuredTokenizer,
    TokenizerResult,
    compression,
)
from bakehouse.formats import config_json, openvino_ir
from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation import fidelity as fidelities
from bakehouse.tasks.text_generation import numeric_check as numeric
from bakehouse.tasks.text_generation import tokenizer_findings
from bakehouse.tasks.text_generation.workers import end_tokens, positions

MODEL = "openvino_model"
TOKENIZER_FILES = tuple(f"openvino_{part}tokenizer.{end}" for part in ("", "de") for end in ("xml", "bin"))
CONFIGS = ("config.json", "generation_config.json")


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare what was made with the recipe: weights counted from the model's XML, tokenizers as compared by the worker."""
    match step.kind:
        case "tokenizer" if isinstance(step.spec, EmbeddingSpec):
            return embeddings.verify_tokenizer(files, report)
        case "tokenizer":
            return _verify_tokenizer(inputs["checkpoint"], files, report)
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
    absent = _absent(files, (f"{MODEL}.xml", f"{MODEL}.bin", *_beside(step)))
    if absent:
        return Verification(faults=absent)
    try:
        model = openvino_ir.read(files / f"{MODEL}.xml")
    except ElementTree.ParseError as error:
        return Verification(faults=(f"{MODEL}.xml is not complete: {error}",))
    size = (files / f"{MODEL}.bin").stat().st_size
    sizes = () if size == model.bin_bytes else (f"{MODEL}.bin has {size} bytes, the model refers to {model.bin_bytes}",)
    if step.kind == "export":
        found = _verify_export(model, inputs["checkpoint"], files, report.read(ExportResult), isinstance(step.spec, EmbeddingSpec))
    else:
        source, spec = openvino_ir.read(inputs["export"] / f"{MODEL}.xml"), compression(step)
        skipped = tuple(f"NNCF skipped a requested option: {message}" for message in report.read(CompressResult).skipped)
        measured = openvino_rules.measure(model, source, spec).model_dump(mode="json")
        found = Verification(measured, (*openvino_rules.judge(model, source, spec), *skipped))
    return Verification(found.measured, (*sizes, *found.faults))


def _beside(step: Step) -> tuple[str, ...]:
    """The files that a step makes besides the model."""
    if step.kind != "export":
        return ("openvino_config.json",)
    return embeddings.NEXT_TO_MODEL if isinstance(step.spec, EmbeddingSpec) else CONFIGS


def _verify_export(
    model: openvino_ir.Model, checkpoint: Path, files: Path, result: ExportResult, makes_vectors: bool = False
) -> Verification:
    config = config_json.read(checkpoint)
    dtype = DTYPES[named_dtype(config) or result.dtype]
    other = [weight for weight in model.weights if weight.type != dtype]
    # Stored in 32 bits, and every number is one of 16: these are the checkpoint's values.
    wider = [weight for weight in other if weight.type == "f32" and weight.name in (result.exact_f32 or ())]
    wrong = [weight for weight in other if weight not in wider]
    faults = [f"the weight of {wrong[0].user} is {wrong[0].type}, should be {dtype} as in the checkpoint"] if wrong else []
    if not model.weights:
        faults.append("the model has no weights")
    faults += embeddings.same_pooling(checkpoint, files) if makes_vectors else _of_end_tokens(checkpoint, files)
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


def _absent(files: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name} was not made" for name in names if not (files / name).is_file())
