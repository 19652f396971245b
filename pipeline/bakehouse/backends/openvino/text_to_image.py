"""Models that draw what a text says, in OpenVINO: a text encoder, a U-Net, and what makes pictures of its numbers and back."""

from __future__ import annotations

import json
from pathlib import Path

from bakehouse.backends.openvino.form import Form
from bakehouse.backends.openvino.seams import DrawRequest, TextToImageSpec
from bakehouse.formats import config_json
from bakehouse.tasks.text_to_image.golden import TASK

SCHEDULER = "scheduler/scheduler_config.json"
PARTS = ("text_encoder", "unet", "vae_decoder", "vae_encoder")
_OF_MACHINES = ("_name_or_path", "_diffusers_version")


def _same_scheduler(checkpoint: Path, files: Path) -> tuple[str, ...]:
    """Whether the steps are made as the checkpoint says: a sentence if not."""
    made, source = (json.loads((folder / SCHEDULER).read_text(encoding="utf-8")) for folder in (files, checkpoint))
    other = sorted(name for name in made.keys() | source.keys() if made.get(name) != source.get(name) and name not in _OF_MACHINES)
    return (f"{SCHEDULER} has other {', '.join(other)} than the checkpoint's",) if other else ()


FORM = Form(
    task=TASK,
    spec=TextToImageSpec,
    exportable=frozenset({"StableDiffusionPipeline"}),  # measured with a tiny model
    export="image_export",
    runs=("draw", DrawRequest),
    components=tuple(f"{part}/openvino_model" for part in PARTS),
    beside=(config_json.PIPELINE, SCHEDULER, *(f"{part}/config.json" for part in PARTS)),
    others=(),
    decodes=False,
    faults=_same_scheduler,
    around=True,
    tokenizer_folder="tokenizer",
    tools=("diffusers",),
    four_bits=False,  # which MatMul of a U-Net NNCF takes for the last one, and leaves in 8 bits, is not to be told from the file
    few=9,  # CLIP's: capital I with a dot, marks in a row, and what looks like a tag right behind a special token (2026.4)
)
