"""Embeds texts with a package's graph in ONNX Runtime, all in one call as the card's program does."""

from __future__ import annotations

from typing import Any

from bakehouse.backends.onnxruntime.seams import EmbedRequest
from bakehouse.backends.onnxruntime.workers import session
from bakehouse.child import events, start
from bakehouse.records import Pooling
from bakehouse.tasks.embeddings import pooling
from bakehouse.tasks.embeddings.seams import Vectors
from bakehouse.tasks.seams import RunResult


def vectors(states: Any, mask: Any, how: Pooling) -> Any:
    """The vectors of texts from the states of their tokens, [texts, tokens, size]."""
    import numpy as np

    match how.mode:
        case "cls":
            found = states[:, 0]
        case "last_token":
            found = states[:, -1]
        case "mean":
            found = (states * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    return found / np.linalg.norm(found, axis=1, keepdims=True) if how.normalize else found


def run(request: EmbedRequest) -> RunResult:
    """Write the vector of each text."""
    give, result = session.load(request, request.graph)
    events.progress("embedding", 0, len(request.texts), "texts")
    found = vectors(*give(request.texts), pooling.read(request.model))
    made = tuple(tuple(map(float, vector)) for vector in found)
    request.vectors.write_text(Vectors(vectors=made, in_use=made).model_dump_json() + "\n", encoding="utf-8", newline="\n")
    return result


if __name__ == "__main__":
    start.run(run, EmbedRequest)
