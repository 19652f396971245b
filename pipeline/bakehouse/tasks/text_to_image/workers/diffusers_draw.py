"""Draws pictures with the unquantized checkpoint in diffusers, in float32, one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bakehouse.child import events, start
from bakehouse.steps.seam import Result
from bakehouse.tasks.text_to_image import pictures
from bakehouse.tasks.text_to_image.seams import ReferenceRequest, Wish


def load(checkpoint: Path, dtype: Any) -> Any:
    """The pipeline, without a safety checker, which is no part of what is converted."""
    from diffusers import DiffusionPipeline

    made = DiffusionPipeline.from_pretrained(
        checkpoint, torch_dtype=dtype, local_files_only=True, use_safetensors=True, safety_checker=None, feature_extractor=None
    )
    made.set_progress_bar_config(disable=True)
    return made


def _drawn(pipeline: Any, wish: Wish) -> bytes:
    import torch

    # The same random numbers as OpenVINO GenAI's TorchGenerator gives.
    made = pipeline(
        wish.prompt,
        **wish.sizes(),
        num_inference_steps=wish.steps,
        guidance_scale=wish.guidance,
        generator=torch.Generator("cpu").manual_seed(wish.seed),
        output_type="np",
    )
    return bytes((made.images[0] * 255).round().astype("uint8").tobytes())


def run(request: ReferenceRequest) -> Result:
    """Draw the pictures."""
    with start.own_modules():
        events.progress("loading the checkpoint")
        import torch

        pipeline = load(request.checkpoint, torch.float32)
        with torch.inference_mode():
            for number, wish in enumerate(request.wishes):
                events.progress("drawing", number, len(request.wishes), "pictures")
                pictures.path(request.files, "source", number).write_bytes(_drawn(pipeline, wish))
    return Result()


if __name__ == "__main__":
    start.run(run, ReferenceRequest)
