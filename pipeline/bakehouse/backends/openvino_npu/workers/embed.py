"""Embeds texts in openvino_genai's TextEmbeddingPipeline for the NPU: a graph of fixed shape, one text at a time."""

from __future__ import annotations

import time
from pathlib import Path

from bakehouse.backends.openvino.workers.embed import configured
from bakehouse.backends.openvino_npu.seams import EmbedRequest
from bakehouse.backends.openvino_npu.workers import devices
from bakehouse.child import events, start
from bakehouse.formats import config_json, fields
from bakehouse.tasks.embeddings import pooling
from bakehouse.tasks.embeddings.seams import Vectors
from bakehouse.tasks.seams import RunResult

LONGEST = 512  # tokens: longer graphs take longer for every text


def length(folder: Path) -> int:
    """As many tokens as the model takes, at most LONGEST."""
    positions = fields.integer(config_json.read(folder), "max_position_embeddings")
    return min(one for one in (pooling.read(folder).max_tokens, positions, LONGEST) if one)


def run(request: EmbedRequest) -> RunResult:
    """Write the vector of each text."""
    import openvino_genai

    choice = devices.chosen(request)
    events.progress("loading the model")
    config = configured(request.model)
    config.max_length, config.pad_to_max_length, config.batch_size = request.max_length or length(request.model), True, 1
    started = time.monotonic()
    pipe = openvino_genai.TextEmbeddingPipeline(request.model, "NPU", config, **choice.settings)
    load_s = time.monotonic() - started
    found = []
    for number, text in enumerate(request.texts):
        events.progress("embedding", number, len(request.texts), "texts")
        found.append(tuple(map(float, pipe.embed_query(text))))
    made = tuple(found)
    request.vectors.write_text(Vectors(vectors=made, in_use=made).model_dump_json() + "\n", encoding="utf-8", newline="\n")
    return devices.result(choice, load_s, {"max_length": str(config.max_length), "pad_to_max_length": "True", "batch_size": "1"})


if __name__ == "__main__":
    start.run(run, EmbedRequest)
