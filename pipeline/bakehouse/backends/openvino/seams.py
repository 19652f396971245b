"""What the OpenVINO backend's steps are made by, what its workers get and leave, and what is measured of the files that they make."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bakehouse.backends.openvino.options import RuntimeOptions
from bakehouse.backends.openvino.quantization import Fallback, Metric, Scope
from bakehouse.steps.seam import Request, Result, Spec
from bakehouse.steps.step import Step
from bakehouse.tasks.embeddings import seams as embeddings
from bakehouse.tasks.reranker import seams as reranker
from bakehouse.tasks.speech import seams as speech
from bakehouse.tasks.text_generation import seams as text_generation
from bakehouse.tasks.text_generation.seams import TokenizerComparison, TokenizerRead
from bakehouse.tasks.text_to_image import seams as text_to_image
from bakehouse.tasks.vision_language import seams as vision_language


def _is_none(value: object) -> bool:
    return value is None


def _is_empty(value: tuple[object, ...]) -> bool:
    return not value


# --- specs ----------------------------------------------------------------------------------------------------------


class CheckpointSpec(Spec):
    """Of an export and of a tokenizer: whether Python files of the checkpoint may run."""

    remote_code: bool


class EmbeddingSpec(CheckpointSpec):
    """The same of a model that turns texts into vectors."""

    task: Literal["embeddings"] = "embeddings"


class SpeechSpec(CheckpointSpec):
    """The same of a model that writes down what is said."""

    task: Literal["speech-recognition"] = "speech-recognition"


class VisionLanguageSpec(CheckpointSpec):
    """The same of a model that answers prompts about a picture."""

    task: Literal["vision-language"] = "vision-language"


class TextToImageSpec(CheckpointSpec):
    """The same of a model that draws what a text says."""

    task: Literal["text-to-image"] = "text-to-image"


class RerankerSpec(CheckpointSpec):
    """The same of a model that says how well texts fit a query."""

    task: Literal["reranker"] = "reranker"


class AdapterSpec(Spec):
    """Of a LoRA adapter: how many times as strong it is as it was trained to."""

    scale: float


class FloatSpec(Spec):
    """Of a model whose weights stay in floating point."""

    weights: Literal["fp32", "fp16"]


class Int8Spec(Spec):
    """Of a model whose weights are all 8-bit integers."""

    weights: Literal["int8"]
    symmetric: bool
    ignored_scope: Scope | None


class CalibrationUse(Spec):
    """How calibration texts are used: the most samples, and the most tokens of each."""

    num_samples: int
    max_tokens: int


class FourBitSpec(Spec):
    """Of a model whose weights have 4 bits. The defaults are those of mxfp4, which leaves no choice; only int4 is symmetric or not."""

    group_size: int = 32
    awq: bool = False
    scale_estimation: bool = False
    gptq: bool = False
    lora_correction: bool = False
    ratio: float
    all_layers: bool
    backup_precision: Literal["none", "int8_sym", "int8_asym"]
    backup_scope: Scope | None = Field(default=None, exclude_if=_is_none)
    sensitivity_metric: Metric
    ignored_scope: Scope | None
    calibration: CalibrationUse | None
    group_size_fallback: Fallback
    weights: Literal["int4", "nf4", "mxfp4"]
    symmetric: bool | None = Field(default=None, exclude_if=_is_none)


Compression = FloatSpec | Int8Spec | FourBitSpec


def compression(step: Step) -> Compression:
    """The spec of a step that compresses a model."""
    assert isinstance(step.spec, FloatSpec | Int8Spec | FourBitSpec), f"the spec of {step.label} is {type(step.spec).__name__}"
    return step.spec


# --- workers --------------------------------------------------------------------------------------------------------


class ExportRequest(Request):
    """Export the checkpoint in `checkpoint` into the empty folder `files`."""

    checkpoint: Path
    files: Path
    remote_code: bool


class ExportResult(Result):
    """How many parameters the model has, and in which precision torch has them.

    `exact_f32` names the 32-bit constants whose numbers are all of 16 bits; None for a checkpoint in 32 bits.
    """

    parameters: int
    dtype: Literal["float32", "float16", "bfloat16"]
    exact_f32: tuple[str, ...] | None = None


class TokenizerRequest(ExportRequest):
    """Convert the tokenizer of the checkpoint in `checkpoint` into the empty folder `files`."""


class TokenizerResult(TokenizerRead):
    """Also how many tokens the tokenizer knows, and how OpenVINO's differs from it."""

    vocabulary: int
    comparison: TokenizerComparison


class CompressRequest(Request):
    """Compress the model in `export` into the empty folder `files`; with a calibration, its texts and the tokenizer for them."""

    export: Path
    files: Path
    compression: Annotated[Compression, Field(discriminator="weights")]
    calibration: Path | None = None
    tokenizer: Path | None = None


class CompressResult(Result):
    """What NNCF left out of what the recipe requests, in its own words, and how many calibration samples it got."""

    calibration_samples: int | None = None
    skipped: tuple[str, ...] = Field(default=(), exclude_if=_is_empty)


class AdapterRequest(Request):
    """Make the files that OpenVINO GenAI takes, in `files`, of the LoRA adapter in the folder `adapter`, `scale` times as strong.

    `layers` are the names of the model's matrix products.
    """

    adapter: Path
    scale: float
    layers: tuple[str, ...]
    files: Path


class AdapterResult(Result):
    """The layers that an adapter changes, each with its rank; `silent` are those of which one of the two matrices is zero.

    `widened` is how many matrices are in float32 because the precision that they had cannot hold the scaled numbers.
    """

    ranks: dict[str, int]
    silent: tuple[str, ...] = ()
    widened: int = 0


class LogitsRequest(Request):
    """Compare the logits of the model in `export` with those that were computed of its checkpoint (`reference`)."""

    export: Path
    checkpoint: Path
    reference: Path
    files: Path
    remote_code: bool


class DraftedRequest(Request):
    """Answer once more with the draft in the folder `model`, into `answers`."""

    model: Path
    answers: Path


class AdaptedRequest(Request):
    """Answer once more without the adapters in the folders `adapters`, into `answers`."""

    adapters: tuple[Path, ...]
    answers: Path


class GenerateRequest(text_generation.GenerateRequest):
    """Answer in the model's own precision into `answers`, and with the recipe's `runtime_options` into `in_use`; then with a draft.

    Of a model with separate adapters both are with them.
    """

    in_use: Path
    runtime_options: RuntimeOptions | None
    device: str = "CPU"
    draft: DraftedRequest | None = None
    adapted: AdaptedRequest | None = None


class OfUsers(Request):
    """What users give the runtime: the recipe's `runtime_options`. A model is run so, and in its own precision."""

    runtime_options: RuntimeOptions | None


class EmbedRequest(embeddings.EmbedRequest, OfUsers):
    """Embed texts."""


class RerankRequest(reranker.RerankRequest, OfUsers):
    """Score texts."""


class TranscribeRequest(speech.TranscribeRequest, OfUsers):
    """Write down recordings."""


class LookRequest(vision_language.LookRequest, OfUsers):
    """Answer prompts about pictures."""


class DrawRequest(text_to_image.DrawRequest, OfUsers):
    """Draw what texts say."""


class PlainTokenizerRequest(TokenizerRequest):
    """Convert a tokenizer without a chat template, which takes so many texts at once; `decodes`: also what makes texts of tokens."""

    decodes: bool
    inputs: int


class PlainTokenizerResult(Result):
    """On how many texts OpenVINO's tokenizer was compared with transformers', and the texts that it makes other tokens of.

    `decoded` are the texts whose tokens it makes other texts of.
    """

    texts: int
    different: tuple[str, ...]
    decoded: tuple[str, ...] = ()


class SensitivitySpec(Spec):
    """How layers are rounded to 4 bits one at a time, in how many windows of text, and in which precision the source computes."""

    symmetric: bool
    group_size: int
    windows: int
    float32_below: int
    remote_code: bool


class SensitivityRequest(Request):
    """Measure what each layer of the graph in `export` does to the model in `checkpoint`, compared with `reference`, into `files`."""

    export: Path
    checkpoint: Path
    reference: Path
    files: Path
    options: SensitivitySpec


class FidelitySpec(text_generation.FidelitySpec):
    """With the recipe's `runtime_options`: how far a model is from its source in the mode that users get."""

    runtime_options: RuntimeOptions | None


class FidelityRequest(text_generation.FidelityRequest):
    """Compare the model in the folder `model` in its own precision, and with `runtime_options`."""

    model: Path
    runtime_options: RuntimeOptions | None


class EvaluateRequest(text_generation.EvaluateRequest):
    """With the folder of the model, and what it runs on."""

    model: Path
    device: str
    runtime_options: dict[str, str | int]


class RunRequest(Request):
    """Load the model in the folder `model` with these options, and answer jobs; see jobs.serve.

    `draft` is the folder of a draft, `adapters` are those of adapters.
    """

    model: Path
    device: str
    runtime_options: dict[str, str | int]
    draft: Path | None = None
    adapters: tuple[Path, ...] = ()


# --- measured -------------------------------------------------------------------------------------------------------


class Measured(BaseModel):
    """Facts read from the files of a step, for manifest and card."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class MeasuredExport(Measured):
    """Of an export: how many weights, in which precision, and which of them in 32 bits; the context and where its cache is kept, in tokens.

    `cache_kept_beyond` is what `agreement.kept_beyond` reads.
    """

    exported_weights: int
    exported_as: str
    context_length: int | None
    cache_kept_beyond: int | None = Field(default=None, exclude_if=_is_none)
    exported_as_f32: tuple[str, ...] = Field(default=(), exclude_if=_is_empty)


class MeasuredParts(Measured):
    """Of an export or a compressed model of several models: all weights by precision or in all, and what was measured of each."""

    weights: dict[str, int] | None = Field(default=None, exclude_if=_is_none)
    exported_weights: int | None = Field(default=None, exclude_if=_is_none)
    parts: dict[str, dict[str, JsonValue]]


class MeasuredAdapter(Measured):
    """Of an adapter: in how many layers it changes something, with which ranks, and the weights of its matrices."""

    adapted_layers: int
    ranks: tuple[int, ...]
    silent_layers: tuple[str, ...] = Field(default=(), exclude_if=_is_empty)


class MeasuredTokenizer(Measured):
    """Of a tokenizer: on how many texts it was compared, and its end tokens; `tokenizer_findings.Findings` are next to them."""

    tokenizer_texts_compared: int
    end_tokens: tuple[int, ...]


class MeasuredModel(Measured):
    """Of a compressed model: weights by precision, where embeddings and last MatMul are; in 4 bits also group sizes and shares."""

    weights: dict[str, int]
    embedding: str
    last_matmul: str
    group_sizes: tuple[int, ...] | None = Field(default=None, exclude_if=_is_none)
    share_4bit: float | None = Field(default=None, exclude_if=_is_none)
    share_4bit_of_ratio_defining: float | None = Field(default=None, exclude_if=_is_none)
