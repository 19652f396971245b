"""Models that answer prompts about a picture, in OpenVINO: a language model, one that makes vectors of tokens, and some of pictures."""

from __future__ import annotations

import json
from pathlib import Path

from bakehouse.backends.openvino.form import Form
from bakehouse.backends.openvino.seams import LookRequest, VisionLanguageSpec
from bakehouse.tasks.text_generation.workers import end_tokens
from bakehouse.tasks.vision_language.golden import TASK

PREPROCESSOR = "preprocessor_config.json"
# Qwen cuts a picture into pieces in one model, and joins them in another, as many as the picture's size gives. A Qwen3-VL is tried only:
# of a picture that is resized a tiny one wrote other tokens than its source.
_JOINED = ("openvino_vision_embeddings_merger_model",)
_QWEN = {"qwen2_vl": _JOINED, "qwen2_5_vl": _JOINED, "qwen3_vl": (*_JOINED, "openvino_vision_embeddings_pos_model")}
# The runtime's VLMPipeline has a list of types. Of those that are not on it optimum-intel exports the first six.
UNKNOWN = (
    *("got_ocr2", "idefics3", "llama4", "maira2", "phi4_multimodal", "smolvlm"),
    *("aya_vision", "internvl", "llava_onevision", "mistral3", "mllama", "paligemma", "pixtral"),
    *("qwen2_5_omni", "qwen3_vl_moe", "video_llava"),
)


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
    exportable=frozenset({"gemma3", "llava"}),  # measured with tiny models, as those of other toolchains
    elsewhere={"transformers-5.0": frozenset({"qwen2_vl", "qwen2_5_vl"})},
    export="vision_language_export",
    runs=("look", LookRequest),
    components=("openvino_language_model", "openvino_text_embeddings_model", "openvino_vision_embeddings_model"),
    beside=("config.json", end_tokens.GENERATION, PREPROCESSOR),
    others=("processor_config.json",),
    decodes=True,
    faults=_same_end,
    around=True,
    more=_QWEN,
    not_run={kind: f"Unsupported '{kind}' VLM model type" for kind in UNKNOWN},
)
