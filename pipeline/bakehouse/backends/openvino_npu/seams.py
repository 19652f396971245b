"""What the NPU backend's steps are made by, what its workers get and leave, and what is measured of the files that they make."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bakehouse.backends.openvino.seams import Measured
from bakehouse.steps.seam import Request, Result, Spec
from bakehouse.tasks.embeddings import seams as embeddings
from bakehouse.tasks.speech import seams as speech
from bakehouse.tasks.text_generation import seams as text_generation

Driver = Literal["native", "wine", "driver"]  # which compiler: OpenVINO's own library, the one for Windows under Wine, or the NPU driver's


def _is_none(value: object) -> bool:
    return value is None


# --- specs ----------------------------------------------------------------------------------------------------------


class Wheel(BaseModel):
    """A wheel that pip fetches: its bytes by sha256 (hex), and pip's further arguments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str
    version: str
    sha256: str
    pip: tuple[str, ...]


class SetupSpec(Spec):
    """Of the compiler under Wine: the wheels of OpenVINO and of the C compiler, and the sha256 of our C program."""

    wheels: tuple[Wheel, Wheel]
    program_sha256: str


class CompileSpec(Spec):
    """Of a blob: its platform, the compiler, and what the pipeline's graphs are compiled for; lengths are in tokens.

    `openvino` is the version that compiles, None where none is installed. `libraries` are the compiler's files with their sha256; under
    Wine the step that sets up the compiler has them.
    """

    platform: int
    driver: Driver
    openvino: str | None
    libraries: Mapping[str, str] | None = Field(default=None, exclude_if=_is_none)
    max_prompt_len: int
    min_response_len: int
    prefill_hint: Literal["DYNAMIC", "STATIC"]
    generate_hint: Literal["FAST_COMPILE", "BEST_PERF"]
    cache_mode: Literal["OPTIMIZE_SPEED", "OPTIMIZE_SIZE"]


# --- workers --------------------------------------------------------------------------------------------------------


class SetupRequest(Request):
    """Set up the compiler under Wine in the empty folder `files`."""

    files: Path
    wheels: tuple[Wheel, Wheel]


class SetupResult(Result):
    """The names of the two wheels, and what the compiler wrote when it compiled the model of three layers."""

    runtime: str
    zig: str
    checked: str


class Described(BaseModel):
    """What is known of a blob before it is compiled."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    platform: int
    codename: str
    max_prompt_len: int
    min_response_len: int
    prefill_hint: str
    generate_hint: str
    cache_mode: str
    openvino: str | None
    compiled_by: str


class Description(Described):
    """The JSON next to a blob: also its compilers, as its graphs name them, and the sha256 of the model's files and of the blob."""

    compiler: str
    ir_sha256: Mapping[str, str]
    blob_sha256: str


class CompileRequest(Request):
    """Compile the model in `model` with these `properties` of OpenVINO; the blob and its description go into the empty folder `files`.

    `compiler` is the folder of the compiler under Wine, for that driver.
    """

    model: Path
    files: Path
    driver: Driver
    compiler: Path | None = None
    properties: Mapping[str, str]
    describes: Described


class CompileResult(Result):
    """Which compiler made the blob."""

    driver: Driver


class GenerateRequest(text_generation.GenerateRequest):
    """`settings` are those of openvino_genai.LLMPipeline, in its own names; `platforms` those that the package has a blob for."""

    settings: Mapping[str, str]
    platforms: tuple[int, ...]


class EmbedRequest(embeddings.EmbedRequest):
    """Embed texts one by one, each padded or cut to so many tokens; None for as many as the model takes, at most LONGEST_TEXT."""

    max_length: int | None


class TranscribeRequest(speech.TranscribeRequest):
    """Write down recordings."""


class FidelitySpec(text_generation.FidelitySpec):
    """With the settings of openvino_genai.LLMPipeline, in its own names."""

    settings: Mapping[str, str]


class FidelityRequest(text_generation.FidelityRequest):
    """Compare the model in the folder `model` with its source; `settings` as in GenerateRequest."""

    model: Path
    settings: Mapping[str, str]


class RunRequest(Request):
    """Load the model in the folder `model` and answer jobs, see jobs.serve; `settings` and `platforms` as in GenerateRequest."""

    model: Path
    device: Literal["NPU", "CPU"]
    settings: Mapping[str, str]
    platforms: tuple[int, ...]


# --- measured -------------------------------------------------------------------------------------------------------


class MeasuredCompiler(Measured):
    """Of the compiler under Wine: what it calls itself."""

    compiler: str | None


class MeasuredBlob(Measured):
    """Of a blob: its compilers, its graphs and their bytes, its weights and their bytes, and which compiler was started.

    `elf_format` and `mapped_inference` are the versions that a driver compares with its own; `linux_driver` is the oldest release of the
    driver for Linux whose sources have such, None if that cannot be known.
    """

    compiler: str
    elf_format: str | None = Field(default=None, exclude_if=_is_none)
    mapped_inference: str | None = Field(default=None, exclude_if=_is_none)
    linux_driver: str | None = Field(default=None, exclude_if=_is_none)
    images: int
    image_bytes: int
    blob_bytes: int
    weight_bytes: int
    weightless: bool
    compiled_by: Driver
