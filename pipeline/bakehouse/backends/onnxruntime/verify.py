"""Compares what an export, a converted graph and a tokenizer are, as the workers read them, with what the recipe requests."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bakehouse.backends.onnxruntime.options import FOLDER, GRAPHS, Weights
from bakehouse.backends.onnxruntime.seams import (
    GRAPH,
    OUTPUTS,
    CheckpointSpec,
    ConvertResult,
    ConvertSpec,
    ExportResult,
    Graph,
    Matrix,
    MeasuredExport,
    MeasuredModel,
    MeasuredTokenizer,
    TokenizerResult,
)
from bakehouse.child import names
from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step

_MOST_NAMED = 3
_FLOATS: Mapping[Weights, str] = {"fp32": "float", "fp16": "float16", "int8": "float"}
_NAMES = {"float": "fp32", "float16": "fp16", "int8": "int8", "uint8": "int8"}


def verify(step: Step, inputs: Mapping[str, Path], files: Path, report: Report) -> Verification:
    """Compare what was made with the step."""
    match step.kind:
        case "export":
            return _export(step.spec_as(CheckpointSpec), files, report)
        case "tokenizer":
            return _tokenizer(files, report)
        case "compress":
            return _graph(step.spec_as(ConvertSpec), files, report)
        case _:
            raise ValueError(f"onnxruntime makes no {step.kind}")


def _export(spec: CheckpointSpec, files: Path, report: Report) -> Verification:
    if not (files / GRAPH).is_file():
        return Verification(faults=(f"{GRAPH} was not made",))
    result = report.read(ExportResult)
    measured = MeasuredExport(exported_weights=_count(result.graph.matrices), inputs=result.inputs, left_out=result.left_out)
    return Verification(measured.model_dump(mode="json"), tuple(_faults_of_export(spec, files, result)))


def _faults_of_export(spec: CheckpointSpec, files: Path, result: ExportResult) -> Iterator[str]:
    yield from _missing(files, result.graph)
    if result.strange:
        yield f"the graph has weights that are none of the checkpoint's: {_shown(result.strange)}"
    # Vectors are made of the states before it.
    lost = [name for name in result.left_out if not (spec.task == "embeddings" and name.startswith("pooler."))]
    if lost:
        yield f"the graph does not have the checkpoint's weights {_shown(lost)}"
    if other := sorted({one.type for one in result.graph.matrices} - {"float"}):
        yield f"the graph has weights in {', '.join(other)}, should be float"
    output = OUTPUTS[spec.task]
    yield from _interface(result.graph, dict.fromkeys(result.inputs, "int64"), {output: "float"})


def _interface(graph: Graph, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> Iterator[str]:
    """Whether a graph takes and gives what it should, in the types that programs expect."""
    for found, wanted, what in ((graph.inputs, inputs, "takes"), (graph.outputs, outputs, "gives")):
        if found != wanted:
            yield f"the graph {what} {_typed(found)}, should be {_typed(wanted)}"


def _typed(interface: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in sorted(interface.items()))


def _graph(spec: ConvertSpec, files: Path, report: Report) -> Verification:
    name = GRAPHS[spec.weights]
    if not (files / FOLDER / name).is_file():
        return Verification(faults=(f"{name} was not made",))
    result = report.read(ConvertResult)
    counts = Counter[str]()
    for matrix in result.graph.matrices:
        counts[_NAMES.get(matrix.type, matrix.type)] += math.prod(matrix.shape)
    measured = MeasuredModel(weights=dict(sorted(counts.items())))
    faults = (
        *_missing(files / FOLDER, result.graph),
        *_interface(result.graph, result.export.inputs, result.export.outputs),
        *judge(result.export, result.graph, spec.weights),
        *((f"weights are further from the export's than rounding takes them: {_shown(result.far)}",) if result.far else ()),
    )
    return Verification(measured.model_dump(mode="json"), faults)


def judge(export: Graph, made: Graph, weights: Weights) -> Iterator[str]:
    """Every weight of the export is in the graph, read by the operator and stored in the type that the recipe requests."""
    found = {one.name: one for one in made.matrices}
    for one in export.matrices:
        if one.name not in found:
            yield f"the graph lacks the weight {one.name}"
        elif (wrong := _described(found[one.name])) != (right := _described(_expected(one, weights))):
            yield f"the weight {one.name} is {wrong}, should be {right}"
    if more := [name for name in found if name not in {one.name for one in export.matrices}]:
        yield f"the graph has weights that the export lacks: {_shown(more)}"


def _expected(source: Matrix, weights: Weights) -> Matrix:
    """How a weight of the export should be stored: in 8 bits those of matrix products, a scale a column, and those of embeddings.

    A product with a bias (Gemm), which has its weight the other way round, becomes one without.
    """
    if weights != "int8" or source.op not in ("MatMul", "Gemm", "Gather"):
        return source.model_copy(update={"type": _FLOATS[weights]})
    if source.op == "Gather":
        return source.model_copy(update={"type": "uint8", "scales": 1})
    shape = source.shape if source.op == "MatMul" else source.shape[::-1]
    return source.model_copy(update={"op": "MatMulInteger", "type": "int8", "shape": shape, "scales": shape[-1]})


def _described(one: Matrix) -> str:
    scales = f" with {one.scales} scales" if one.scales else ""
    return f"{one.type} of {' x '.join(map(str, one.shape))}{scales} in {one.op}"


def _tokenizer(files: Path, report: Report) -> Verification:
    if absent := [name for name in ("tokenizer.json", "tokenizer_config.json") if not (files / name).is_file()]:
        return Verification(faults=tuple(f"{name} was not made" for name in absent))
    result = report.read(TokenizerResult)
    measured = MeasuredTokenizer(
        tokenizer_texts_compared=result.texts, tokenizer_texts_different=result.different, max_tokens=result.max_tokens
    )
    wrong = (f"tokenizer.json makes other tokens than transformers of {_shown(tuple(map(repr, result.different)))}",)
    return Verification(measured.model_dump(mode="json"), wrong if result.different else ())


def _missing(folder: Path, graph: Graph) -> Iterator[str]:
    for name in graph.data:
        if not (folder / name).is_file():
            yield f"{name}, which the graph refers to, was not made"


def _count(matrices: tuple[Matrix, ...]) -> int:
    return sum(math.prod(one.shape) for one in matrices)


def _shown(found: Sequence[str]) -> str:
    return names.some(found, _MOST_NAMED)
