"""Exports a pipeline of diffusers with optimum-intel in the checkpoint's own precision: each of its models into a folder of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bakehouse.backends.openvino.seams import ExportRequest, ExportResult
from bakehouse.backends.openvino.text_to_image import FORM, PARTS
from bakehouse.backends.openvino.workers import exact as openvino_exact
from bakehouse.backends.openvino.workers import export, kept
from bakehouse.child import events, mapped, start
from bakehouse.formats import safetensors_files
from bakehouse.tasks.text_to_image.workers import diffusers_draw

_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_PLACE = "_name_or_path"  # where the checkpoint lay on this machine


def run(request: ExportRequest) -> ExportResult:
    """Fill `files` with the models, each {xml,bin} and config.json, the scheduler's configuration and model_index.json."""
    with start.own_modules():
        precision = _precision(request.checkpoint)
        events.progress("importing optimum-intel")
        import optimum.exporters.openvino.convert  # noqa: F401  as in `export`
        import torch

        events.progress("loading the checkpoint")
        pipeline = diffusers_draw.load(request.checkpoint, getattr(torch, precision))
        models = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
        _save(pipeline, request, is_16bit=precision != "float32")
        exact = _exact(request, precision, models) if precision != "float32" else None
    _tidy(request.files)
    parameters = sum(weight.numel() for model in models for weight in model.parameters())
    return ExportResult.model_validate({"parameters": parameters, "dtype": precision, "exact_f32": exact})


def _precision(checkpoint: Path) -> str:
    """The one in which all models have their weights."""
    found = {one.dtype for one in safetensors_files.tensors(checkpoint) if one.dtype in _DTYPES}
    if len(found) != 1:
        events.refuse(
            f"The models of the pipeline are in different precisions: {', '.join(sorted(_DTYPES[one] for one in found))}.",
            "Take a pipeline whose models are all in one.",
        )
    return _DTYPES[found.pop()]


def _save(pipeline: Any, request: ExportRequest, *, is_16bit: bool) -> None:
    from optimum.exporters.openvino.convert import export_from_model

    events.progress("tracing and saving the models")
    with kept.temporaries(), kept.small_while_saved(request.checkpoint), _one_at_a_time():
        export_from_model(
            pipeline,
            request.files,
            preprocessors=[],
            device="cpu",
            trust_remote_code=False,
            patch_16bit_model=is_16bit,
            task="text-to-image",
        )
    made = {export.name_of(path, request.files) for path in export.models(request.files)}
    if strange := sorted(made ^ {*FORM.components}):
        events.refuse(
            f"optimum-intel makes other models of this pipeline than are compared: {', '.join(strange)}.", "Take another pipeline."
        )


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Let go of the weights of each model once it is exported: those of convolutions were copied into float32 for it."""
    from optimum.exporters.openvino import convert

    original = convert.export

    def export_one(*, model: Any, **named: Any) -> Any:
        made = original(model=model, **named)
        for weight in model.parameters():
            weight.data = weight.data.new_zeros(()).expand(weight.shape)
        return made

    convert.export = export_one
    try:
        yield
    finally:
        convert.export = original


def _exact(request: ExportRequest, precision: str, models: list[Any]) -> tuple[str, ...]:
    events.progress("looking at the weights that are wider than the checkpoint's")
    buffers = [buffer for model in models for _, buffer in model.named_buffers()]
    with mapped.kept_small(request.checkpoint, request.files):
        return tuple(
            f"{export.name_of(path, request.files)}:{one}"
            for path in export.models(request.files)
            for one in openvino_exact.wide(path, precision, request.checkpoint, buffers)
        )


def _tidy(files: Path) -> None:
    """Leave out the tokenizer, which is a step of its own, and where the checkpoint lay."""
    shutil.rmtree(files / "tokenizer", ignore_errors=True)
    for path in (files / "model_index.json", *(files / part / "config.json" for part in PARTS)):
        found = json.loads(path.read_text(encoding="utf-8"))
        text = json.dumps({name: value for name, value in found.items() if name != _PLACE}, indent=2, sort_keys=True)
        path.write_text(f"{text}\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    start.run(run, ExportRequest)
