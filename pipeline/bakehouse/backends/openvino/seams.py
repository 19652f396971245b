"""What the OpenVINO backend's steps are made by, what its workers get and leave, and what is measured of the files that they make."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bakehouse.backends.openvino.options import RuntimeOptions
from bakehouse.backends.openvino.quantization import Fallback, IgnoredScope, Metric
from bakehouse.steps.seam import Request, Result, Spec
from bakehouse.steps.step import Step


def _is_none(value: object) -> bool:
    return value is None


def _is_empty(value: tuple[object, ...]) -> bool:
    return not value


# --- specs ----------------------------------------------------------------------------------------------------------


class CheckpointSpec(Spec):
    """Of an export and of a tokenizer: whether Python files of the checkpoint may run."""

    remote_code: bool


class FloatSpec(Spec):
    """Of a model whose weights stay in floating point."""

    weights: Literal["fp32", "fp16"]


class Int8Spec(Spec):
    """Of a model whose weights are all 8-bit integers."""

    weights: Literal["int8"]
    symmetric: bool
    ignored_scope: IgnoredScope | None


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
    sensitivity_metric: Metric
    ignored_scope: IgnoredScope | None
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
    tokenizer_corrected: str | None = None


class TokenizerRequest(ExportRequest):
    """Convert the tokenizer of the checkpoint in `checkpoint` into the empty folder `files`."""


class Comparison(BaseModel):
    """How many texts and chats two tokenizers were compared on, and where they differ (see hard_texts.differences, chats.compare)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    texts: int
    chats: int
    differences: tuple[dict[str, JsonValue], ...]


class TokenizerResult(Result):
    """The tokenizer's own end token, the one that ends an answer by its chat template, how many tokens it knows, and the comparison.

    `tokenizer_corrected` and `conversion_corrected` say what had to be done for the tokenizer to be that of the checkpoint's file.
    """

    eos_token_id: int | None = None
    turn_end_id: int | None = None
    vocabulary: int
    comparison: Comparison
    tokenizer_corrected: str | None = None
    conversion_corrected: str | None = None


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
    tokenizer_corrected: str | None = None


class LogitsRequest(Request):
    """Compare the logits of the model in `export` with those that were computed of its checkpoint (`reference`)."""

    export: Path
    checkpoint: Path
    reference: Path
    files: Path
    remote_code: bool


class GenerateRequest(Request):
    """Answer the prompts of the file `prompts` with the model in `model`.

    The answers in the model's own precision go into the file `answers`, those with the recipe's `runtime_options` into `in_use`.
    """

    model: Path
    prompts: Path
    answers: Path
    in_use: Path
    runtime_options: RuntimeOptions | None
    device: str = "CPU"


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


class MeasuredTokenizer(Measured):
    """Of a tokenizer: on how many texts it was compared, its end tokens, and what hard_texts.limits and end_tokens.remarks say of it."""

    tokenizer_texts_compared: int
    end_tokens: tuple[int, ...]
    tokenizer_limits: tuple[str, ...] = Field(default=(), exclude_if=_is_empty)
    tokenizer_corrected: str | None = Field(default=None, exclude_if=_is_none)
    conversion_corrected: str | None = Field(default=None, exclude_if=_is_none)
    tokenizer_end_unnamed: int | None = Field(default=None, exclude_if=_is_none)
    turn_end_unnamed: int | None = Field(default=None, exclude_if=_is_none)


class MeasuredModel(Measured):
    """Of a compressed model: weights by precision, where embeddings and last MatMul are; in 4 bits also group sizes and shares."""

    weights: dict[str, int]
    embedding: str
    last_matmul: str
    group_sizes: tuple[int, ...] | None = Field(default=None, exclude_if=_is_none)
    share_4bit: float | None = Field(default=None, exclude_if=_is_none)
    share_4bit_of_ratio_defining: float | None = Field(default=None, exclude_if=_is_none)
