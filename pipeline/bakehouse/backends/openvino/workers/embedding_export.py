"""Exports an embedding model with optimum-intel in the checkpoint's own precision; what says how vectors are made is kept next to it."""

from __future__ import annotations

import shutil

from bakehouse.backends.openvino.seams import ExportRequest, ExportResult
from bakehouse.backends.openvino.workers import export
from bakehouse.child import events, start
from bakehouse.tasks.embeddings import pooling
from bakehouse.tasks.embeddings.workers import transformers_embed


def run(request: ExportRequest) -> ExportResult:
    """Fill `files` with openvino_model.{xml,bin}, config.json and the files of sentence-transformers."""
    with start.own_modules():
        events.progress("importing optimum-intel")
        import optimum.exporters.openvino.convert  # noqa: F401  as in `export`

        events.progress("loading the checkpoint")
        model = transformers_embed.load(request.checkpoint, remote_code=request.remote_code, dtype="auto")
        kind = {"task": "feature-extraction", "library_name": "transformers", "stateful": False}
        result = export.save(model, request.checkpoint, request.files, request.remote_code, **kind)
    for name in pooling.FILES:
        if (request.checkpoint / name).is_file():
            (request.files / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(request.checkpoint / name, request.files / name)
    return result


if __name__ == "__main__":
    start.run(run, ExportRequest)
