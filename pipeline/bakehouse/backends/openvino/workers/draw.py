"""Draws pictures with a package's model folder in openvino_genai's Text2ImagePipeline, twice; see `twice`."""

from __future__ import annotations

from typing import Any

from bakehouse.backends.openvino.options import given
from bakehouse.backends.openvino.seams import DrawRequest
from bakehouse.backends.openvino.workers import twice
from bakehouse.backends.openvino.workers.generate import Options
from bakehouse.child import events, start
from bakehouse.tasks.seams import RunResult
from bakehouse.tasks.text_to_image import pictures
from bakehouse.tasks.text_to_image.pictures import Run
from bakehouse.tasks.text_to_image.seams import Wish


def drawn(pipe: Any, wish: Wish, generator: Any) -> Any:
    """The colours of one picture: lines of points of three numbers."""
    made = pipe.generate(
        wish.prompt,
        **wish.sizes(),
        num_inference_steps=wish.steps,
        guidance_scale=wish.guidance,
        generator=generator,
    )
    return made.data[0]


def run(request: DrawRequest) -> RunResult:
    """Draw the pictures, from the random numbers that the source began with; or the only one into a PNG file."""
    import openvino_genai

    def load(options: Options) -> Any:
        return openvino_genai.Text2ImagePipeline(request.model, request.device, **options)

    def draw(pipe: Any) -> tuple[bytes, ...]:
        events.progress("drawing", 0, len(request.wishes), "pictures")
        if request.png is not None:
            return (_png(drawn(pipe, request.wishes[0], openvino_genai.CppStdGenerator(request.wishes[0].seed)), request),)
        return tuple(drawn(pipe, wish, openvino_genai.TorchGenerator(wish.seed)).tobytes() for wish in request.wishes)

    own, used, result = twice.run(request, given(request.runtime_options), load, draw)
    kept: tuple[tuple[Run, tuple[bytes, ...]], ...] = (("own", own), ("in_use", used)) if request.png is None else ()
    for run_, found in kept:
        for number, colours in enumerate(found):
            pictures.path(request.files, run_, number).write_bytes(colours)
    return result


def _png(colours: Any, request: DrawRequest) -> bytes:
    from PIL import Image

    assert request.png is not None
    try:
        Image.fromarray(colours).save(request.png)
    except OSError as error:
        events.refuse(f"{request.png} cannot be written: {error.strerror or error}.", "Name another file.")
    return b""


if __name__ == "__main__":
    start.run(run, DrawRequest)
