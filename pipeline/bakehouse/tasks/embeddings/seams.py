"""What crosses between the pipeline and the workers of embeddings."""

from __future__ import annotations

from pathlib import Path

from bakehouse.records import Pooling, Written
from bakehouse.steps.seam import Result
from bakehouse.tasks.seams import RunRequest, SourceRequest, SourceSpec

VECTORS = "vectors.json"


class ReferenceSpec(SourceSpec):
    """The texts whose vectors are computed."""

    texts: tuple[str, ...]


class ReferenceRequest(SourceRequest):
    """The texts, and the file for their vectors."""

    texts: tuple[str, ...]
    vectors: Path


class ReferenceResult(Result):
    """How the states became vectors, and how long these are."""

    pooling: Pooling
    size: int


class EmbedRequest(RunRequest):
    """The texts, and the file for their vectors."""

    texts: tuple[str, ...]
    vectors: Path


class Vectors(Written):
    """The vector of each text, in the order of the texts; `in_use` those that users get."""

    vectors: tuple[tuple[float, ...], ...]
    in_use: tuple[tuple[float, ...], ...] = ()
