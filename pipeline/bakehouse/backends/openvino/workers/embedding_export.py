"""Exports an embedding model with optimum-intel in the checkpoint's own precision; what says how vectors are made is kept next to it."""

from __future__ import annotations

import shutil

from bakehouse.backends.openvino.embeddings import POOLING
from bakehouse.backends.openvino.seams import ExportRequest, ExportResult
from bakehouse.backends.openvino.workers import exact as openvino_exact
from bakehouse.backends.openvino.workers.export import PRECISIONS, precision_of
from bakehouse.child import events, start
from bakehouse.tasks.embeddings.workers import transformers_embed


def run(request: ExportRequest) -> ExportResult:
    """Fill `files` with openvino_model.{xml,bin}, config.json and the files of sentence-transformers."""
    with start.own_modules():
        events.progress("importing optimum-intel")
        from optimum.exporters.openvino.convert import export_from_model

        events.progress("loading the checkpoint")
        model = transformers_embed.load(request.checkpoint, remote_code=request.remote_code, dtype="auto")
        if (precision := precision_of(model)) not in PRECISIONS:
            events.refuse(f"The checkpoint's precision, {precision}, cannot be exported.", f"Use one in {', '.join(PRECISIONS)}.")
        parameters, is_16bit = model.num_parameters(), model.dtype.itemsize == 2
        events.progress("tracing and saving the model")
        export_from_model(
            model,
            request.files,
            task="feature-extraction",
            library_name="transformers",
            stateful=False,
            preprocessors=[],
            device="cpu",
            trust_remote_code=request.remote_code,
            patch_16bit_model=is_16bit,
        )
    exact = None
    if is_16bit:
        buffers = [buffer for _, buffer in model.named_buffers()]
        exact = tuple(openvino_exact.wide(request.files / "openvino_model.xml", precision, request.checkpoint, buffers))
    for name in POOLING:
        if (request.checkpoint / name).is_file():
            (request.files / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(request.checkpoint / name, request.files / name)
    return ExportResult.model_validate({"parameters": parameters, "dtype": precision, "exact_f32": exact})


if __name__ == "__main__":
    start.run(run, ExportRequest)
