"""Embeds texts with a package's model folder in openvino_genai's TextEmbeddingPipeline, twice.

First in the model's own precision, then as the card's program does; see `generate`, which does the same for prompts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bakehouse.backends.openvino.options import given
from bakehouse.backends.openvino.seams import EmbedRequest
from bakehouse.backends.openvino.workers.generate import ACCURATE, Options, precision
from bakehouse.child import events, start
from bakehouse.tasks.embeddings import pooling
from bakehouse.tasks.embeddings.seams import EmbedResult, Vectors

Found = tuple[tuple[float, ...], ...]


def configured(folder: Path) -> Any:
    """The pipeline's configuration, as the folder's files say how vectors are made."""
    import openvino_genai

    kinds = openvino_genai.TextEmbeddingPipeline.PoolingType
    how = pooling.read(folder)
    config = openvino_genai.TextEmbeddingPipeline.Config()
    config.pooling_type = {"cls": kinds.CLS, "mean": kinds.MEAN, "last_token": kinds.LAST_TOKEN}[how.mode]
    config.normalize = how.normalize
    if how.max_tokens is not None:
        config.max_length = how.max_tokens
    if how.mode == "last_token":
        config.padding_side = "left"
    return config


def embed(folder: Path, device: str, options: Options, texts: Sequence[str]) -> tuple[Found, float]:
    """The vector of each text, all in one call as users have it, and the seconds that loading took."""
    import openvino_genai

    events.progress("loading the model")
    started = time.monotonic()
    pipe = openvino_genai.TextEmbeddingPipeline(folder, device, configured(folder), **options)
    load_s = time.monotonic() - started
    events.progress("embedding", 0, len(texts), "texts")
    return tuple(tuple(map(float, vector)) for vector in pipe.embed_documents(list(texts))), load_s


def run(request: EmbedRequest) -> EmbedResult:
    """Write the vectors in the model's own precision, and with the recipe's options."""
    import openvino as ov

    core, options = ov.Core(), given(request.runtime_options)
    own, load_s = embed(request.model, request.device, ACCURATE, request.texts)
    used = own if options == ACCURATE else embed(request.model, request.device, options, request.texts)[0]
    request.vectors.write_text(Vectors(vectors=own, in_use=used).model_dump_json() + "\n", encoding="utf-8", newline="\n")
    return EmbedResult(
        device=request.device,
        device_name=str(core.get_property(request.device, "FULL_DEVICE_NAME")).strip(),
        load_s=load_s,
        runtime_options=ACCURATE,
        in_use={name: str(value) for name, value in options.items()},
        precision=precision(core, request.device, options),
    )


if __name__ == "__main__":
    start.run(run, EmbedRequest)
