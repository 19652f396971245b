"""Scores texts with a package's graph in ONNX Runtime, those of a query in one call as the card's program does."""

from __future__ import annotations

from bakehouse.backends.onnxruntime.seams import RerankRequest
from bakehouse.backends.onnxruntime.workers import session
from bakehouse.child import events, start
from bakehouse.tasks.reranker.seams import Scores
from bakehouse.tasks.seams import RunResult


def run(request: RerankRequest) -> RunResult:
    """Write the score of each text: the sigmoid of the model's number."""
    import numpy as np

    give, result = session.load(request, request.graph)
    found = []
    for number, question in enumerate(request.questions):
        events.progress("scoring", number, len(request.questions), "queries")
        logits, _ = give([(question.query, text) for text in question.texts])
        found.append(tuple(map(float, 1 / (1 + np.exp(-logits[:, 0])))))
    request.scores.write_text(Scores(scores=tuple(found), in_use=tuple(found)).model_dump_json() + "\n", encoding="utf-8", newline="\n")
    return result


if __name__ == "__main__":
    start.run(run, RerankRequest)
