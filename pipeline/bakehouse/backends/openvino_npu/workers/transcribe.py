"""Writes down recordings in openvino_genai's WhisperPipeline for the NPU: encoder and decoder in graphs of fixed shape."""

from __future__ import annotations

import time

from bakehouse.backends.openvino.workers.transcribe import listened, loaded
from bakehouse.backends.openvino_npu.seams import TranscribeRequest
from bakehouse.backends.openvino_npu.workers import devices
from bakehouse.child import events, start
from bakehouse.tasks.seams import RunResult
from bakehouse.tasks.speech.seams import Heard


def run(request: TranscribeRequest) -> RunResult:
    """Write what is heard in each recording."""
    choice = devices.chosen(request)
    events.progress("loading the model")
    started = time.monotonic()
    pipes = loaded(request.model, "NPU", request.recordings, choice.settings)
    load_s = time.monotonic() - started
    found = listened(pipes, request.recordings)
    request.heard.write_text(Heard(heard=found, in_use=found).model_dump_json() + "\n", encoding="utf-8", newline="\n")
    return devices.result(choice, load_s, {})


if __name__ == "__main__":
    start.run(run, TranscribeRequest)
