"""Models that write down what is said, in OpenVINO: Whisper, an encoder and a decoder that keeps its own state."""

from __future__ import annotations

import json
from pathlib import Path

from bakehouse.backends.openvino.form import Form
from bakehouse.backends.openvino.seams import SpeechSpec, TranscribeRequest
from bakehouse.tasks.speech.golden import TASK

GENERATION = "generation_config.json"
# What WhisperPipeline reads of it (openvino_genai 2026.4.1, whisper/config.cpp and whisper_generation_config.cpp).
_READ = (
    "begin_suppress_tokens", "decoder_start_token_id", "eos_token_id", "is_multilingual", "lang_to_id", "max_initial_timestamp_index",
    "no_timestamps_token_id", "pad_token_id", "prev_sot_token_id", "suppress_tokens", "task_to_id",
)  # fmt: skip


def _same_tokens(checkpoint: Path, files: Path) -> tuple[str, ...]:
    """Whether the export begins, ends and holds back tokens as the checkpoint does: a sentence if not."""
    made, source = (json.loads((folder / GENERATION).read_text(encoding="utf-8")) for folder in (files, checkpoint))
    other = [name for name in _READ if made.get(name) != source.get(name)]
    return (f"{GENERATION} names other {', '.join(other)} than the checkpoint's",) if other else ()


FORM = Form(
    task=TASK,
    spec=SpeechSpec,
    exportable=frozenset({"whisper"}),
    export="speech_export",
    runs=("transcribe", TranscribeRequest),
    components=("openvino_encoder_model", "openvino_decoder_model"),
    beside=("config.json", GENERATION, "preprocessor_config.json"),
    others=(),
    decodes=True,
    faults=_same_tokens,
)
