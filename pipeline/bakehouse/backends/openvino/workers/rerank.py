"""Scores texts with a package's model folder in openvino_genai's TextRerankPipeline, twice; see `twice`."""

from __future__ import annotations

from typing import Any

from bakehouse.backends.openvino.options import given
from bakehouse.backends.openvino.seams import RerankRequest
from bakehouse.backends.openvino.workers import twice
from bakehouse.backends.openvino.workers.generate import Options
from bakehouse.child import events, start
from bakehouse.tasks.reranker import writers
from bakehouse.tasks.reranker.seams import Question, Scores
from bakehouse.tasks.seams import RunResult


def _given(question: Question, writes: bool) -> tuple[str, list[str]]:
    """A query and texts as the pipeline takes them; one that writes text gets them behind one another, without anything between."""
    if not writes:
        return question.query, list(question.texts)
    return writers.before(question), [text + writers.AFTER for text in question.texts]


def run(request: RerankRequest) -> RunResult:
    """Write the score of each text, those of a query in one call as users have it."""
    import openvino_genai

    writes = writers.in_folder(request.model)

    def load(options: Options) -> Any:
        config = openvino_genai.TextRerankPipeline.Config()
        config.top_n = max(len(question.texts) for question in request.questions)
        if writes:
            config.padding_side = "left"  # the score is that of the last token
        return openvino_genai.TextRerankPipeline(request.model, request.device, config, **options)

    def score(pipe: Any) -> tuple[tuple[float, ...], ...]:
        events.progress("scoring", 0, len(request.questions), "queries")
        found = (dict(pipe.rerank(*_given(question, writes))) for question in request.questions)
        return tuple(tuple(float(scores[number]) for number in sorted(scores)) for scores in found)

    own, used, result = twice.run(request, given(request.runtime_options), load, score)
    request.scores.write_text(Scores(scores=own, in_use=used).model_dump_json() + "\n", encoding="utf-8", newline="\n")
    return result


if __name__ == "__main__":
    start.run(run, RerankRequest)
