"""Models that say how well texts fit a query, in OpenVINO."""

from __future__ import annotations

from pathlib import Path

from bakehouse.backends.openvino.form import Form
from bakehouse.backends.openvino.seams import RerankerSpec, RerankRequest
from bakehouse.tasks.reranker import writers
from bakehouse.tasks.reranker.golden import TASK


def _nothing(checkpoint: Path, files: Path) -> tuple[str, ...]:
    """All that such an export says besides its weights is in config.json, which the runtime does not read."""
    return ()


FORM = Form(
    task=TASK,
    spec=RerankerSpec,
    exportable=frozenset(  # measured with tiny models
        {"albert", "bert", "camembert", "distilbert", "electra", "mpnet", "qwen3", "roberta", "xlm-roberta"}
    ),
    export="reranker_export",
    runs=("rerank", RerankRequest),
    components=("openvino_model",),
    beside=("config.json",),
    others=(),
    decodes=False,
    faults=_nothing,
    inputs=2,
    alone=writers.in_folder,
)
