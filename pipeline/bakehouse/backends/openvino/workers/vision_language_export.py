"""Exports a vision-language model with optimum-intel in the checkpoint's own precision: a language model, and those around it."""

from __future__ import annotations

import shutil

from bakehouse.backends.openvino.seams import ExportRequest, ExportResult
from bakehouse.backends.openvino.vision_language import FORM, PREPROCESSOR
from bakehouse.backends.openvino.workers import export
from bakehouse.child import events, start
from bakehouse.tasks.text_generation.workers import end_tokens, tokenizers_loading
from bakehouse.tasks.vision_language.workers import transformers_look


def run(request: ExportRequest) -> ExportResult:
    """Fill `files` with the models' {xml,bin}, config.json, generation_config.json and what says how pictures become numbers."""
    with start.own_modules():
        events.progress("importing optimum-intel")
        import optimum.exporters.openvino.convert  # noqa: F401  as in `export`

        events.progress("loading the checkpoint")
        ends = tokenizers_loading.end_tokens_of(request.checkpoint, request.remote_code)
        model = transformers_look.load(request.checkpoint, remote_code=request.remote_code, dtype="auto")
        kind = {"task": "image-text-to-text", "stateful": True}
        result = export.save(model, request.checkpoint, request.files, request.remote_code, **kind)
        _keep_processor(request)
        end_tokens.complete(request.checkpoint, request.files, ends)
    known = FORM.components_of(model.config.model_type)
    if strange := sorted({path.stem for path in export.models(request.files)} - {*known}):
        events.refuse(
            f"optimum-intel makes more models of this one than are compared: {', '.join(strange)}.", "Take a model of another type."
        )
    return result


def _keep_processor(request: ExportRequest) -> None:
    """Keep what the checkpoint says of pictures; make preprocessor_config.json, which the runtime reads, where it has none."""
    for name in (PREPROCESSOR, *FORM.others):
        if (request.checkpoint / name).is_file():
            shutil.copyfile(request.checkpoint / name, request.files / name)
    if not (request.files / PREPROCESSOR).is_file():
        made = transformers_look.processor(request.checkpoint, remote_code=request.remote_code)
        made.image_processor.save_pretrained(request.files)


if __name__ == "__main__":
    start.run(run, ExportRequest)
