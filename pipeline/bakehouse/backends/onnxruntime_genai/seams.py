"""What crosses between this backend and its workers: the spec of a model, requests and results, and what is measured of what was made."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue

from bakehouse.backends.onnxruntime_genai.quantization import OrtQuantization, Provider
from bakehouse.records import Written
from bakehouse.steps.seam import Request, Result, Spec
from bakehouse.tasks.text_generation import seams as generation
from bakehouse.tasks.text_generation.seams import TokenizerComparison

# What was made otherwise than the builder makes it: the name of a field or a part -> the value that it has now, or what was done.
Changes = dict[str, JsonValue]


class BuildSpec(Spec):
    """A model for one provider, every option spelled out but `shared_embeddings`, which may be the model's to say.

    Of a numeric check this is the model that is compared: the build's own, or one in float.
    """

    execution_provider: Provider
    quantization: OrtQuantization
    graph_capture: bool | None
    remote_code: bool
    use_webgpu_fp32: bool = Field(default=False, exclude_if=lambda chosen: not chosen)

    @property
    def in_fp32(self) -> bool:
        """Whether what is not quantized has 32 bits in a model of integers (quant_config.default_io_dtype in the builder)."""
        return self.execution_provider == "cpu" or self.use_webgpu_fp32


class SpeechSpec(BuildSpec):
    """Of a model that writes down what is said; the embedding and the last MatMul always have weights of their own."""

    task: Literal["speech-recognition"] = "speech-recognition"


class BuildRequest(Request):
    """Fill the folder `files` with the model of `spec`, made of the checkpoint."""

    checkpoint: Path
    files: Path
    spec: BuildSpec


class Precision(Written):
    """How a matrix is stored: `bits` in blocks that share a scale of type `type`; without bits its numbers have that type themselves."""

    type: str
    bits: int | None = None
    block_size: int | None = None
    accuracy_level: int = 0
    zero_points: bool = False


class Matrix(Precision):
    """An operation with a matrix of weights; `shape` is None where another operation has the matrix."""

    name: str
    op: str
    shape: tuple[int, ...] | None = None


class Tensor(Written):
    """An input or output of the graph; a dimension is a number or a name."""

    type: str
    shape: tuple[int | str, ...]


class Graph(Written):
    """What model.onnx is; `data` has the bytes that it refers to in each file of external data."""

    weights: tuple[Matrix, ...]
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    data: dict[str, int]


class RuntimeTokenizer(TokenizerComparison):
    """Where the runtime's tokenizer is not transformers', and the ids that end an answer by either; see TokenizerRead."""

    eos_token_id: int | None = None
    turn_end_id: int | None = None
    runtime_end_tokens: tuple[int, ...]


class BuildResult(Result):
    """What the model folder is, as the worker read it back.

    `two_heads`: the files hold a last MatMul that is not the embedding, whatever config.json says; None where they do not.
    `tokenizer_corrected`: how the checkpoint's tokenizer had to be read, if not as transformers reads it.
    """

    mended: Changes
    graph: Graph
    tokenizer: RuntimeTokenizer
    two_heads: bool | None = None
    tokenizer_corrected: str | None = None


class SpeechRequest(Request):
    """Fill the folder `files` with the model of `spec`, made of the checkpoint."""

    checkpoint: Path
    files: Path
    spec: SpeechSpec


class SpeechTokenizer(Written):
    """Of so many `texts`, those of which the runtime makes other tokens than transformers, and those of whose tokens another text.

    `unknown` are tokens of prompts that it does not know.
    """

    texts: int
    different: tuple[str, ...]
    decoded: tuple[str, ...]
    unknown: tuple[str, ...]


class SpeechResult(Result):
    """What the model folder of a speech model is, as the worker read it back."""

    mended: Changes
    encoder: Graph
    decoder: Graph
    tokenizer: SpeechTokenizer


class GenerateRequest(generation.GenerateRequest):
    """The prompts, and what people call the provider that the model is made for."""

    device: str


class EvaluateRequest(generation.EvaluateRequest):
    """With the folder of the model, and what it runs on, as a RunRequest has it."""

    model: Path
    made_for: str
    device: Literal["CPU", "GPU", "NPU"] | None


class RunRequest(Request):
    """Load the model in the folder `model` and answer jobs, see jobs.serve; `made_for` is what people call its provider.

    `device` None: the provider where this machine has it, else the CPU.
    """

    model: Path
    made_for: str
    device: Literal["CPU", "GPU", "NPU"] | None


class FidelityRequest(generation.FidelityRequest):
    """Compare the model in the folder `model` with its source; `device` as in GenerateRequest."""

    model: Path
    device: str


class LogitsRequest(Request):
    """Compare the logits of a model of `spec` with those in `reference`, and write the figures into the folder `files`.

    `model`: the folder of that model; None if it has to be made for this.
    """

    checkpoint: Path
    reference: Path
    files: Path
    spec: BuildSpec
    model: Path | None


class SensitivitySpec(Spec):
    """In how many windows of text layers are measured, and in which precision the source computes."""

    windows: int
    float32_below: int
    remote_code: bool


class SensitivityRequest(Request):
    """Measure what each layer of the folder `model` does to the model in `checkpoint`, compared with `reference`, into `files`."""

    checkpoint: Path
    model: Path
    reference: Path
    files: Path
    options: SensitivitySpec


class FixHeadRequest(Request):
    """Write `graph` to `target` with this head size in its shapes, and with `data` as the name of the file of its weights."""

    graph: Path
    target: Path
    data: str
    head_size: int


class MeasuredWeights(Written):
    """Numbers of weights by precision, and which operations have which: `other_precision` are those of other bits than most."""

    weights: dict[str, int]
    matmul: str
    embedding: str
    last_matmul: str
    other_precision: tuple[str, ...]


class Measured(MeasuredWeights):
    """What manifest and card have of a model. Fields that are None are left out; `cache_kept_beyond` is read by agreement.kept_beyond."""

    context_length: int
    end_tokens: tuple[int, ...]
    mended: Changes
    tokenizer_texts_compared: int
    tokenizer_limits: tuple[str, ...] | None = None
    tokenizer_corrected: str | None = None
    tokenizer_end_unnamed: int | None = None
    turn_end_unnamed: int | None = None
    context_cut_from: int | None = None
    context_cut_reason: str | None = None
    cache_kept_beyond: int | None = None


class MeasuredPart(Written):
    """Numbers of weights of one graph by precision."""

    weights: dict[str, int]


class MeasuredSpeech(Written):
    """What manifest and card have of a speech model; `languages` is how many it has, of a model of one language 0."""

    weights: dict[str, int]
    parts: dict[str, MeasuredPart]
    matmul: str
    context_length: int
    end_tokens: tuple[int, ...]
    mended: Changes
    languages: int
    tokenizer_texts_compared: int
    tokenizer_texts_different: tuple[str, ...]
