"""What an NPU build may request, and why the device or its pipeline refuses the rest. The OpenVINO backend compresses the weights.

Sources: OpenVINO GenAI's guide for the NPU (2026.4: symmetric, int4 or nf4 with ratio 1.0, groups of 128 for models up to 4 to 5 B
weights and complete channels above; nf4 from Core Ultra 200V on) and NPUW's llm_compiled_model.cpp (lengths, hints).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, JsonValue

from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.recipe import agreement
from bakehouse.recipe.build import RuntimeBuild
from bakehouse.recipe.model import Model, Rule
from bakehouse.recipe.types import refusal

Platform = Literal[3720, 4000, 5010, 5020]
CODENAMES: Mapping[int, str] = {3720: "Meteor Lake, Arrow Lake", 4000: "Lunar Lake", 5010: "Panther Lake", 5020: "Panther Lake"}
INT8_CRASH = "https://github.com/openvinotoolkit/openvino/issues/35641"
STEP_OF_LENGTHS = 64  # NPUW rounds both lengths up to it
LARGEST_GROUPED = 5_000_000_000  # weights; above that the guide recommends complete channels

_FLOAT = "weights in floating point are not quantized"
_INT8 = "int8 puts all weights in 8 bits with one scale a channel"
_ALL_FOUR = "on the NPU every layer but embeddings and the last one has 4 bits"
_FIXED = {
    "all_layers": f"{_ALL_FOUR}; all_layers does not apply",
    "sensitivity_metric": f"{_ALL_FOUR}, so no layers are ranked; sensitivity_metric does not apply",
    "group_size_fallback": "the NPU takes one group size for all layers; group_size_fallback does not apply",
    **{
        scope: f"the NPU's graphs are folded out of equal layers, so none may be left out; {scope} does not apply"
        for scope in ("ignored_scope", "backup_scope")
    },
    **{
        method: f"the NPU backend rounds without looking at data; {method} does not apply"
        for method in ("scale_estimation", "gptq", "lora_correction", "calibration")
    },
}
_METHODS = ("ratio", "group_size", "backup_precision", "awq", *_FIXED)


class NpuFloat(Model):
    """Weights in 16-bit floating point."""

    weights: Literal["fp16"] = Field(description="Precision of the weights.")

    elsewhere: ClassVar[Mapping[str, str]] = {field: f"{_FLOAT}; {field} does not apply" for field in ("symmetric", *_METHODS)}


class _Symmetric(Model):
    """What all integer formats have in common."""

    symmetric: bool = Field(True, description="Whether the integers have no zero point; the NPU takes no others.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("symmetric", lambda q: not q.symmetric, "the NPU takes symmetric weights only", "Write true, or leave it out."),
    )


class NpuInt8(_Symmetric):
    """All weights in 8-bit integers, one scale a channel."""

    weights: Literal["int8"] = Field(description="Precision of the weights.")

    elsewhere: ClassVar[Mapping[str, str]] = {field: f"{_INT8}; {field} does not apply" for field in _METHODS}


def _group_size(value: int) -> int:
    if value not in (-1, 128):
        raise refusal(
            f"the NPU takes groups of 128 weights or whole channels, not groups of {value}",
            "Write 128, or -1 for the whole channel, which larger models need.",
        )
    return value


class _FourBit(Model):
    """What both 4-bit formats have in common."""

    ratio: float = Field(1.0, description="Share of the ratio-defining weights that get 4 bits; on the NPU all of them.")
    group_size: Annotated[int, AfterValidator(_group_size), Field(json_schema_extra={"enum": [-1, 128]})] = Field(
        128, description="Weights that share a scale: 128, or -1 for the whole channel."
    )
    backup_precision: Literal["none", "int8_sym"] = Field("int8_sym", description="What embeddings and the last layer get.")
    awq: bool = Field(False, description="Whether to scale by the weights first (AWQ without data).")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "ratio",
            lambda q: q.ratio != 1.0,
            "on the NPU all layers have the same precision; a ratio below 1.0 is a recipe for CPU and GPU",
            "Write 1.0, or leave it out.",
        ),
    )


class NpuInt4(_Symmetric, _FourBit):
    """Weights in symmetric 4-bit integers."""

    weights: Literal["int4"] = Field(description="Precision of the weights.")

    elsewhere: ClassVar[Mapping[str, str]] = _FIXED
    rules: ClassVar[tuple[Rule, ...]] = (*_Symmetric.rules, *_FourBit.rules)


class NpuNf4(_FourBit):
    """Weights in 4-bit NormalFloat."""

    weights: Literal["nf4"] = Field(description="Precision of the weights.")

    elsewhere: ClassVar[Mapping[str, str]] = {**_FIXED, "symmetric": "nf4 has no zero points in any case; symmetric does not apply"}


NpuQuantization = Annotated[NpuFloat | NpuInt8 | NpuInt4 | NpuNf4, Field(discriminator="weights")]


def _length(value: int) -> int:
    if value <= 0 or value % STEP_OF_LENGTHS:
        up = max(STEP_OF_LENGTHS, -(-value // STEP_OF_LENGTHS) * STEP_OF_LENGTHS)
        raise refusal(f"the NPU pipeline rounds lengths up to multiples of {STEP_OF_LENGTHS}, so {value} would not be kept", f"Write {up}.")
    return value


_OF_TEXT = ("cache_mode", "generate_hint", "max_prompt_len", "min_agreement", "min_response_len", "platforms", "prefill_hint")
Length = Annotated[int, AfterValidator(_length), Field(json_schema_extra={"minimum": STEP_OF_LENGTHS, "multipleOf": STEP_OF_LENGTHS})]


class OpenVINONpu(RuntimeBuild):
    """OpenVINO IR for Intel NPUs, with blobs compiled ahead of time."""

    tasks: ClassVar[tuple[str, ...]] = ("text-generation", "embeddings", "speech-recognition")

    runtime: Literal["openvino-npu"] = Field(description="OpenVINO IR for Intel NPUs, with blobs compiled ahead of time.")
    quantization: NpuQuantization = Field(description="What is done to the weights.")
    platforms: tuple[Platform, ...] = Field(
        (),
        description="NPUs to compile a blob for: 3720 (Meteor Lake, Arrow Lake), 4000 (Lunar Lake), 5010 and 5020 (Panther Lake); "
        "none leaves compiling to the user's machine.",
    )
    max_prompt_len: Length = Field(1024, description="Longest prompt in tokens; the graphs' shapes are fixed.")
    min_response_len: Length = Field(128, description="Tokens that an answer has room for after the longest prompt.")
    prefill_hint: Literal["DYNAMIC", "STATIC"] = Field(
        "DYNAMIC", description="Whether prompts are taken in chunks, as many as there are, or always as the longest one."
    )
    generate_hint: Literal["FAST_COMPILE", "BEST_PERF"] = Field("FAST_COMPILE", description="What the graph for answers is compiled for.")
    cache_mode: Literal["OPTIMIZE_SPEED", "OPTIMIZE_SIZE"] = Field(
        "OPTIMIZE_SPEED", description="Whether a blob loads by itself, or takes weights from the model next to it (weightless)."
    )
    max_length: int | None = Field(
        None,
        ge=8,
        le=8192,
        description="Of an embedding model, tokens of a text: the graph's shape is fixed, so shorter ones are padded and longer ones cut; "
        "by default as many as the model takes, at most 512.",
        exclude_if=lambda length: length is None,
    )
    min_agreement: agreement.Tokens = 0
    min_agreement_reason: agreement.Reason = None

    elsewhere: ClassVar[Mapping[str, str]] = {
        "runtime_options": "the NPU pipeline's settings are fields of the build itself (prefill_hint, ...); runtime_options does not apply"
    }
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "platforms",
            lambda b: len(set(b.platforms)) < len(b.platforms),
            "a platform is named twice",
            "Name each once.",
        ),
        Rule(
            "platforms",
            lambda b: b.quantization.weights == "nf4" and 3720 in b.platforms,
            "nf4 needs the NPU of Lunar Lake or a later one, not 3720 (Meteor Lake, Arrow Lake)",
            "Leave 3720 out, or take int4.",
        ),
        Rule(
            "cache_mode",
            lambda b: b.cache_mode == "OPTIMIZE_SIZE" and not b.platforms,
            "without platforms no blob is made, so cache_mode would change nothing",
        ),
    )

    def normal(self) -> Self:
        """The same with sets in order, so that equals are equal."""
        return self.model_copy(update={"platforms": tuple(sorted(self.platforms))})

    def without_effect(self, task: str) -> tuple[str, ...]:
        """What belongs to the graphs of models that write text, or to the one of embedding models."""
        fields = type(self).model_fields
        changed = {name for name in (*_OF_TEXT, "max_length") if getattr(self, name) != fields[name].default}
        used = {"text-generation": set(_OF_TEXT), "embeddings": {"max_length"}}.get(task, set())
        return (*super().without_effect(task), *sorted(changed - used))

    def remark(self) -> str:
        """That such models have crashed NPUs: openvino 2026.0, Lunar Lake, at the first answer, and past any `except`."""
        if self.quantization.weights != "int8":
            return ""
        return (
            f"models with all weights in 8 bits have crashed the pipeline on an NPU ({INT8_CRASH}); int4 is what Intel publishes for NPUs"
        )

    def stood_in(self) -> bool:
        """NPUW runs the NPU's graphs on the CPU where there is no NPU."""
        return True

    def room(self) -> int:
        """Tokens that a prompt and its answer may have together: the graphs have fixed shapes."""
        return self.max_prompt_len + self.min_response_len

    @classmethod
    def coarseness(cls, option: str, value: JsonValue) -> float | None:
        """As of the model that it ships."""
        return OpenVINO.coarseness(option, value)


def as_openvino(options: OpenVINONpu) -> OpenVINO:
    """The build of the OpenVINO backend whose model this one ships."""
    return OpenVINO.model_validate(
        {
            "runtime": "openvino",
            "quantization": options.quantization.model_dump(mode="json"),
            "unknown_architecture": options.unknown_architecture,
        }
    )


def settings(options: OpenVINONpu) -> dict[str, str]:
    """The settings of the NPU pipeline, in the names of openvino_genai.LLMPipeline."""
    return {
        "MAX_PROMPT_LEN": str(options.max_prompt_len),
        "MIN_RESPONSE_LEN": str(options.min_response_len),
        "PREFILL_HINT": options.prefill_hint,
        "GENERATE_HINT": options.generate_hint,
    }
