"""Models that turn texts into vectors, in OpenVINO."""

from __future__ import annotations

from pathlib import Path

from bakehouse.backends.openvino.form import Form
from bakehouse.backends.openvino.seams import EmbeddingSpec, EmbedRequest
from bakehouse.tasks.embeddings import pooling
from bakehouse.tasks.embeddings.golden import TASK


def _same_pooling(checkpoint: Path, files: Path) -> tuple[str, ...]:
    """Whether the export says of pooling what the checkpoint does: a sentence if not."""
    try:
        return () if pooling.read(files) == pooling.read(checkpoint) else ("the export's files name another pooling than the checkpoint's",)
    except pooling.Unpooled as reason:
        return (f"{reason}",)


FORM = Form(
    task=TASK,
    spec=EmbeddingSpec,
    # Measured with tiny models, one and several texts at once.
    exportable=frozenset(
        {"albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "mpnet", "qwen3", "roberta", "xlm-roberta"}
    ),
    export="embedding_export",
    runs=("embed", EmbedRequest),
    components=("openvino_model",),
    beside=("config.json", pooling.MODULES),
    others=pooling.FILES[1:],
    decodes=False,
    faults=_same_pooling,
)
