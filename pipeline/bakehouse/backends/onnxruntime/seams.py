"""What the steps of this backend are made by, what its workers get and leave, and what is measured of the files that they make."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bakehouse.backends.onnxruntime.options import Weights
from bakehouse.steps.seam import Request, Result, Spec
from bakehouse.tasks.embeddings import seams as embeddings
from bakehouse.tasks.reranker import seams as reranker

Task = Literal["embeddings", "reranker"]
GRAPH = "model.onnx"  # in the folder of an export
OUTPUTS: Mapping[Task, str] = {"embeddings": "last_hidden_state", "reranker": "logits"}  # as optimum and Transformers.js call them


class CheckpointSpec(Spec):
    """Of an export and of a tokenizer: the task, and whether Python files of the checkpoint may run."""

    task: Task
    remote_code: bool


class ConvertSpec(Spec):
    """Of a graph in one precision."""

    weights: Weights
    reduce_range: bool | None = Field(default=None, exclude_if=lambda chosen: chosen is None)


class ExportRequest(Request):
    """Export the checkpoint into the empty folder `files`."""

    checkpoint: Path
    files: Path
    task: Task
    remote_code: bool


class Matrix(BaseModel):
    """A weight of two dimensions in a graph: the operator that reads it, its type and shape, and how many scales it has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    op: str
    type: str
    shape: tuple[int, ...]
    scales: int = 0


class Graph(BaseModel):
    """A graph as its file has it: the names of inputs and outputs with their types, and its weights of two dimensions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: dict[str, str]
    outputs: dict[str, str]
    matrices: tuple[Matrix, ...]
    data: tuple[str, ...] = ()  # the files besides the graph that hold weights


class ExportResult(Result):
    """The graph; its weights that are not the checkpoint's bit for bit, and the checkpoint's that it does not have.

    `inputs` are those that the tokenizer makes and the model takes.
    """

    graph: Graph
    inputs: tuple[str, ...]
    strange: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


class ConvertRequest(Request):
    """Make the graph in the folder `export` one with such weights, in the file `graph` of the folder `files`."""

    export: Path
    files: Path
    graph: str
    spec: ConvertSpec


class ConvertResult(Result):
    """The export's graph and the new one; the weights that are further from the export's than rounding takes them."""

    export: Graph
    graph: Graph
    far: tuple[str, ...] = ()


class TokenizerRequest(ExportRequest):
    """Write the tokenizer into the empty folder `files`, as the library `tokenizers` reads it."""


class TokenizerResult(Result):
    """On how many texts the file was compared with transformers', and those of which it makes other tokens.

    `max_tokens`: what is beyond so many tokens of a text is cut off.
    """

    texts: int
    different: tuple[str, ...]
    max_tokens: int


class Runs(Request):
    """Which graph of the folder `model` runs."""

    graph: str


class EmbedRequest(embeddings.EmbedRequest, Runs):
    """Embed texts."""


class RerankRequest(reranker.RerankRequest, Runs):
    """Score texts."""


# --- measured -------------------------------------------------------------------------------------------------------


class Measured(BaseModel):
    """Facts read from the files of a step, for manifest and card."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class MeasuredExport(Measured):
    """How many weights matrices and embeddings have, what the graph takes, and which weights of the checkpoint it does not use."""

    exported_weights: int
    inputs: tuple[str, ...]
    left_out: tuple[str, ...]


class MeasuredModel(Measured):
    """The weights of matrices and embeddings by precision."""

    weights: dict[str, int]


class MeasuredTokenizer(Measured):
    """On how many texts it was compared, those with other tokens, and how many tokens of a text it takes."""

    tokenizer_texts_compared: int
    tokenizer_texts_different: tuple[str, ...]
    max_tokens: int
