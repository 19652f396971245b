"""Models that answer prompts about a picture, in OpenVINO: a language model, and one that makes vectors of tokens and one of pictures."""

from __future__ import annotations

import json
from pathlib import Path

from bakehouse.backends.openvino.form import Form
from bakehouse.backends.openvino.seams import LookRequest, VisionLanguageSpec
from bakehouse.tasks.text_generation.workers import end_tokens
from bakehouse.tasks.vision_language.golden import TASK

PREPROCESSOR = "preprocessor_config.json"


def _same_end(checkpoint: Path, files: Path) -> tuple[str, ...]:
    """Whether answers end where the checkpoint's do: a sentence if not."""
    made = json.loads((files / end_tokens.GENERATION).read_text(encoding="utf-8"))
    ends, source_ends = end_tokens.listed(made.get("eos_token_id")), end_tokens.of(checkpoint)
    if ends and (ends == source_ends or not source_ends):
        return ()
    return (f"{end_tokens.GENERATION} names the end tokens {ends}, the checkpoint {source_ends}: answers would end elsewhere",)


FORM = Form(
    task=TASK,
    spec=VisionLanguageSpec,
    exportable=frozenset({"gemma3", "llava"}),  # measured with tiny models
    export="vision_language_export",
    runs=("look", LookRequest),
    components=("openvino_language_model", "openvino_text_embeddings_model", "openvino_vision_embeddings_model"),
    beside=("config.json", end_tokens.GENERATION, PREPROCESSOR),
    others=("processor_config.json",),
    decodes=True,
    faults=_same_end,
    around=True,
)
