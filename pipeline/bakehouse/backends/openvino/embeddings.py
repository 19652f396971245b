"""What is peculiar to models that turn texts into vectors: which are exported, with which workers, and what their files are."""

from __future__ import annotations

from pathlib import Path

from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.backends.openvino.seams import EmbeddingTokenizerResult, EmbedRequest, ExportRequest, TokenizerRequest
from bakehouse.recipe.recipe import BuildOptions
from bakehouse.steps.maker import Command, Verification, worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from bakehouse.tasks.embeddings import pooling
from bakehouse.tasks.embeddings import seams as embeddings

# Model types that optimum-intel 2.1.0 exports for feature extraction with transformers 5.5 so that tiny models of them compute the states
# of transformers (measured, one and several texts at once).
EXPORTABLE = frozenset(
    {"albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "mpnet", "qwen3", "roberta", "xlm-roberta"}
)
# What sentence-transformers reads, and every program that has to know how vectors are made.
POOLING = (
    pooling.MODULES,
    "1_Pooling/config.json",
    "2_Normalize/config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
)
_CONFIGS = ("config.json",)
NEXT_TO_MODEL = (*_CONFIGS, pooling.MODULES)  # files that an export has besides the model itself
_TOKENIZER = ("openvino_tokenizer.xml", "openvino_tokenizer.bin", "tokenizer_config.json")
_MOST_NAMED = 3


def why_not(kind: str, tried: bool) -> tuple[str, ...]:
    """A sentence on why a model type is not exported for this task, if it is not; `tried`: the recipe has unknown ones tried."""
    if kind in EXPORTABLE or tried:
        return ()
    return (
        f"no export of models of type {kind or 'unknown'} for embeddings has been shown to work with optimum-intel 2.1; "
        "with `unknown_architecture: try` the build tries it",
    )


def command(step: Step, checkpoint: Path, files: Path, remote_code: bool) -> Command:
    """The command that makes an export or a tokenizer."""
    kind = ExportRequest if step.kind == "export" else TokenizerRequest
    name = "embedding_export" if step.kind == "export" else "embedding_tokenizer"
    return worker(f"backends.openvino.workers.{name}", request=kind(checkpoint=checkpoint, files=files, remote_code=remote_code))


def embed(build: BuildOptions, request: embeddings.EmbedRequest) -> Command:
    """The command that embeds texts in openvino_genai on the CPU: exactly, and as its users do."""
    assert isinstance(build, OpenVINO)
    wanted = EmbedRequest(
        model=request.model, texts=request.texts, vectors=request.vectors, runtime_options=build.runtime_options, device="CPU"
    )
    return worker("backends.openvino.workers.embed", request=wanted)


def layout(config: Path) -> dict[str, Path]:
    """Path in the package -> file, of what lies next to the model; empty for a model of another task."""
    if not (config / pooling.MODULES).is_file():
        return {}
    return {name: config / name for name in (*_CONFIGS, *POOLING) if (config / name).is_file()}


def verify_tokenizer(files: Path, report: Report) -> Verification:
    """Complete, and with the tokens of transformers."""
    if absent := tuple(f"{name} was not made" for name in _TOKENIZER if not (files / name).is_file()):
        return Verification(faults=absent)
    result = report.read(EmbeddingTokenizerResult)
    named = ", ".join(map(repr, result.different[:_MOST_NAMED]))
    few = 0 < len(result.different) <= result.texts // 10
    faults = () if few or not result.different else (f"OpenVINO's tokenizer makes other tokens than transformers' of {named}",)
    return Verification({"tokenizer_texts_compared": result.texts, "tokenizer_texts_different": [*result.different]}, faults)


def same_pooling(checkpoint: Path, files: Path) -> tuple[str, ...]:
    """Whether the export says of pooling what the checkpoint does: a sentence if not."""
    try:
        return () if pooling.read(files) == pooling.read(checkpoint) else ("the export's files name another pooling than the checkpoint's",)
    except pooling.Unpooled as reason:
        return (f"{reason}",)
