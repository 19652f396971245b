"""Exports a speech model with optimum-intel in the checkpoint's own precision: an encoder, and a decoder that keeps its own state."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from bakehouse.backends.openvino.seams import ExportRequest, ExportResult
from bakehouse.backends.openvino.speech import GENERATION
from bakehouse.backends.openvino.workers import export
from bakehouse.child import events, start
from bakehouse.tasks.speech.workers import transformers_transcribe


def run(request: ExportRequest) -> ExportResult:
    """Fill `files` with openvino_{encoder,decoder}_model.{xml,bin}, and what says how recordings become numbers and tokens texts."""
    with start.own_modules():
        events.progress("importing optimum-intel")
        import optimum.exporters.openvino.convert  # noqa: F401  as in `export`
        from transformers import AutoFeatureExtractor

        events.progress("loading the checkpoint")
        model = transformers_transcribe.load(request.checkpoint, remote_code=request.remote_code, dtype="auto")
        kind = {"task": "automatic-speech-recognition-with-past", "stateful": True}
        with states_in_order():
            result = export.save(model, request.checkpoint, request.files, request.remote_code, **kind)
        AutoFeatureExtractor.from_pretrained(request.checkpoint, local_files_only=True).save_pretrained(request.files)
    _complete(request)
    return result


@contextmanager
def states_in_order() -> Iterator[None]:
    """Have the exporter give the decoder its states in the order of its nodes: it takes them from a set, whose order no run repeats."""
    from optimum.exporters.openvino import stateful

    original = stateful.insert_state_for_nodes

    def insert(model: Any, nodes: Iterable[Any]) -> None:
        place = {node.get_name(): number for number, node in enumerate(model.get_ordered_ops())}
        original(model, sorted(nodes, key=lambda node: place[node.get_name()]))

    stateful.insert_state_for_nodes = insert
    try:
        yield
    finally:
        stateful.insert_state_for_nodes = original


def _complete(request: ExportRequest) -> None:
    """Keep every field of the checkpoint's generation_config.json: transformers leaves out some when it writes one."""
    made = json.loads((request.files / GENERATION).read_text(encoding="utf-8"))
    source = json.loads((request.checkpoint / GENERATION).read_text(encoding="utf-8"))
    text = json.dumps(made | source, indent=2, sort_keys=True) + "\n"
    (request.files / GENERATION).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    start.run(run, ExportRequest)
