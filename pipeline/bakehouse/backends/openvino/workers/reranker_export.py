"""Exports a reranker with optimum-intel in the checkpoint's own precision."""

from __future__ import annotations

from bakehouse.backends.openvino.seams import ExportRequest, ExportResult
from bakehouse.backends.openvino.speech import GENERATION
from bakehouse.backends.openvino.workers import export
from bakehouse.child import events, start
from bakehouse.tasks.reranker import writers
from bakehouse.tasks.reranker.workers import transformers_rerank


def run(request: ExportRequest) -> ExportResult:
    """Fill `files` with openvino_model.{xml,bin} and config.json."""
    with start.own_modules():
        events.progress("importing optimum-intel")
        import optimum.exporters.openvino.convert  # noqa: F401  as in `export`

        events.progress("loading the checkpoint")
        if writers.in_folder(request.checkpoint):
            return _writer(request)
        model = transformers_rerank.load(request.checkpoint, remote_code=request.remote_code, dtype="auto")
        kind = {"task": "text-classification", "library_name": "transformers", "stateful": False}
        return export.save(model, request.checkpoint, request.files, request.remote_code, **kind)


def _writer(request: ExportRequest) -> ExportResult:
    """A model that writes text, without a cache: it is asked for one token."""
    model = transformers_rerank.load_writer(request.checkpoint, remote_code=request.remote_code, dtype="auto")
    result = export.save(model, request.checkpoint, request.files, request.remote_code, task="text-generation", stateful=False)
    (request.files / GENERATION).unlink(missing_ok=True)  # it writes nothing, and by this file a package is known that does
    return result


if __name__ == "__main__":
    start.run(run, ExportRequest)
