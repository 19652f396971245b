"""Embeds texts with a package's model folder in openvino_genai's TextEmbeddingPipeline, twice; see `twice`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bakehouse.backends.openvino.options import given
from bakehouse.backends.openvino.seams import EmbedRequest
from bakehouse.backends.openvino.workers import twice
from bakehouse.backends.openvino.workers.generate import Options
from bakehouse.child import events, start
from bakehouse.tasks.embeddings import pooling
from bakehouse.tasks.embeddings.seams import Vectors
from bakehouse.tasks.seams import RunResult


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


def run(request: EmbedRequest) -> RunResult:
    """Write the vector of each text, all in one call as users have it."""
    import openvino_genai

    def load(options: Options) -> Any:
        return openvino_genai.TextEmbeddingPipeline(request.model, request.device, configured(request.model), **options)

    def embed(pipe: Any) -> tuple[tuple[float, ...], ...]:
        events.progress("embedding", 0, len(request.texts), "texts")
        return tuple(tuple(map(float, vector)) for vector in pipe.embed_documents(list(request.texts)))

    own, used, result = twice.run(request, given(request.runtime_options), load, embed)
    request.vectors.write_text(Vectors(vectors=own, in_use=used).model_dump_json() + "\n", encoding="utf-8", newline="\n")
    return result


if __name__ == "__main__":
    start.run(run, EmbedRequest)
