"""Compares a blob that was compiled for an NPU with what the recipe requests, the model that it was made from, and its description."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from bakehouse.backends.openvino_npu import compiler as npu_compiler
from bakehouse.backends.openvino_npu import weights as npu_weights
from bakehouse.backends.openvino_npu.seams import CompileSpec, Description
from bakehouse.formats.npu_blob import Blob
from bakehouse.store.files import sha256

BLOB, DESCRIPTION = "openvino_model.blob", "openvino_model.json"


def faults(blob: Blob, spec: CompileSpec, inputs: Mapping[str, Path], files: Path) -> Iterator[str]:
    """Sentences, one for each way in which the blob in `files` is not what the step with this spec and inputs should make."""
    model = inputs["model"]
    yield from judge(blob, spec)
    yield from _of_other_weights(blob, model, files / BLOB)
    yield from _of_another_compiler(blob, inputs.get("compiler"))
    yield from _described_wrongly(blob, spec, model, files)


def judge(blob: Blob, spec: CompileSpec) -> Iterator[str]:
    """Sentences, one for each way in which a blob is not what the recipe requests."""
    if blob.cpu_graphs or blob.devices != ("NPU",):
        on = ", ".join(blob.devices) or "an unknown device"
        yield f"the blob holds {blob.cpu_graphs} graphs of CPU code and is made for {on}; it must be for the NPU alone"
    if not blob.images:
        yield "the blob has no graph for the NPU"
    if blob.encrypted:
        yield "the blob is encrypted"
    platforms = sorted({image.says.get("npu", "unknown") for image in blob.images} - {str(spec.platform)})
    if platforms:
        yield f"the blob has graphs for {', '.join(platforms)}, should be for {spec.platform} only"
    if blob.openvino != spec.openvino:
        yield f"OpenVINO {blob.openvino} made the blob, should be {spec.openvino}"
    for name in ("max_prompt_len", "min_response_len", "prefill_hint", "generate_hint"):
        found = blob.asked.get(f"NPUW_LLM_{name.upper()}")
        if found != str(getattr(spec, name)):
            yield f"the blob was compiled with {name} {found}, should be {getattr(spec, name)}"
    if blob.weightless != (spec.cache_mode == "OPTIMIZE_SIZE"):
        kind = "weightless" if blob.weightless else "with weights"
        yield f"the blob is {kind}, which is not what cache_mode {spec.cache_mode} gives"
    if blob.bank.empty:
        yield f"the blob lists {blob.bank.empty} of its {blob.bank.empty + len(blob.bank.tensors)} weights without their bytes"


def compilers(blob: Blob) -> list[str]:
    """What the blob's graphs call the compilers that made them, each once."""
    return sorted({image.says.get("compiler", "unknown") for image in blob.images})


def _of_other_weights(blob: Blob, model: Path, path: Path) -> Iterator[str]:
    """Whether the weights are those of the IR, byte for byte."""
    if blob.weightless or blob.bank.empty:
        return
    if absent := npu_weights.absent(model, path, blob.bank):
        others = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        yield f"the blob lacks weights of the model that it was compiled from: {absent[0]}{others}"


def _of_another_compiler(blob: Blob, compiler: Path | None) -> Iterator[str]:
    """Whether one compiler made all graphs and, where it is a step of its own, that one."""
    found = compilers(blob)
    if len(found) > 1 or found == ["unknown"]:
        yield f"the blob's graphs are by the compilers {', '.join(found)}; all must be by one that is known"
    elif compiler is not None and found != (own := [graph["compiler"] for graph in npu_compiler.checked(compiler)]):
        yield f"the compiler {', '.join(found)} made the blob, should be {', '.join(own)}"


def _described_wrongly(blob: Blob, spec: CompileSpec, model: Path, files: Path) -> Iterator[str]:
    """Whether the description holds of the blob and of the model."""
    right = Description(
        **npu_compiler.described(spec).model_dump(),
        compiler=", ".join(compilers(blob)),
        ir_sha256={name: sha256(model / name) for name in npu_compiler.MODEL},
        blob_sha256=sha256(files / BLOB),
    ).model_dump(mode="json")
    found = json.loads((files / DESCRIPTION).read_text(encoding="utf-8"))
    for name in sorted({*right, *found}):
        if found.get(name) != right.get(name):
            yield f"{DESCRIPTION} says {name} {found.get(name)}, should be {right.get(name)}"
