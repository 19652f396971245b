"""What crosses between the pipeline and the workers of embeddings."""

from __future__ import annotations

from pathlib import Path

from bakehouse.records import Pooling, Written
from bakehouse.steps.seam import Request, Result, Spec

VECTORS = "vectors.json"


class ReferenceSpec(Spec):
    """The reference: the texts whose vectors are computed in float32."""

    texts: tuple[str, ...]
    remote_code: bool


class ReferenceRequest(Request):
    """The texts for an unquantized checkpoint, and the file for their vectors."""

    checkpoint: Path
    texts: tuple[str, ...]
    vectors: Path
    remote_code: bool


class ReferenceResult(Result):
    """How the states became vectors, and how long these are."""

    pooling: Pooling
    size: int


class EmbedRequest(Request):
    """The texts for a model in the folder `model`, and the file for their vectors. A backend adds what its runtime needs."""

    model: Path
    texts: tuple[str, ...]
    vectors: Path


class EmbedResult(Result):
    """What the vectors were made on, as in a GenerateResult; `in_use` are the runtime's options of the second run, as users have it."""

    device: str
    device_name: str
    load_s: float
    runtime_options: dict[str, str]
    in_use: dict[str, str]
    precision: str = ""


class Vectors(Written):
    """The vector of each text, in the order of the texts; `in_use` those that users get."""

    vectors: tuple[tuple[float, ...], ...]
    in_use: tuple[tuple[float, ...], ...] = ()
