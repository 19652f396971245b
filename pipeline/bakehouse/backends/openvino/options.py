"""What a build can have its users give OpenVINO at run time: the options that change answers, in the runtime's own names.

Sources: openvino 2026.4.1, SUPPORTED_PROPERTIES of the CPU plugin and what its core refuses for each; ATTENTION_BACKEND is
openvino_genai 2026.4.1's (LLMPipeline).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, Field, JsonValue

from bakehouse.backends.openvino import quantization
from bakehouse.backends.openvino.quantization import FourBit, Quantization
from bakehouse.recipe import agreement
from bakehouse.recipe.build import RuntimeBuild
from bakehouse.recipe.calibration import Calibration
from bakehouse.recipe.model import Fault, Model


def _is_unset(value: object) -> bool:
    return value is None


class RuntimeOptions(Model):
    """What the runtime is given when the model is loaded, in its own names."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    EXECUTION_MODE_HINT: Literal["ACCURACY"] | None = Field(
        None,
        description="ACCURACY computes in the model's own precision; without it processors with bfloat16 instructions use those.",
        exclude_if=_is_unset,
    )
    INFERENCE_PRECISION_HINT: Literal["f32", "bf16", "f16"] | None = Field(
        None, description="Precision to compute in, where the device has it.", exclude_if=_is_unset
    )
    KV_CACHE_PRECISION: Literal["f32", "bf16", "f16", "u8", "u4"] | None = Field(
        None, description="Precision of the cache of keys and values; by default u8 on a CPU.", exclude_if=_is_unset
    )
    DYNAMIC_QUANTIZATION_GROUP_SIZE: int | None = Field(
        None,
        ge=0,
        description="Activations that share a scale when they are rounded to 8 bits while it runs; 0 for no rounding.",
        exclude_if=_is_unset,
    )
    ATTENTION_BACKEND: Literal["PA", "SDPA"] | None = Field(
        None, description="How OpenVINO GenAI computes attention: paged (PA), or the model's own operation (SDPA).", exclude_if=_is_unset
    )

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        if not given(self):
            yield Fault((), "no option is set, so this would change nothing", "Set one, or leave runtime_options out.")


class OpenVINO(RuntimeBuild):
    """OpenVINO IR for Intel CPU and GPU."""

    tasks: ClassVar[tuple[str, ...]] = (
        "text-generation",
        "embeddings",
        "reranker",
        "speech-recognition",
        "vision-language",
        "text-to-image",
    )

    runtime: Literal["openvino"] = Field(description="OpenVINO IR for Intel CPU and GPU.")
    quantization: Quantization = Field(description="What is done to the weights.")
    min_agreement: agreement.Tokens = 0
    min_agreement_reason: agreement.Reason = None
    runtime_options: RuntimeOptions | None = Field(
        None,
        description="What users must give the runtime for right answers; it stands in the card's program, which is tried with it.",
        exclude_if=lambda options: options is None,
    )

    def normal(self) -> Self:
        """The same with what is left open spelled out, so that equals are equal."""
        return self.model_copy(update={"quantization": quantization.normal(self.quantization)})

    def only_text(self) -> tuple[str, ...]:
        """Also what compares tokens, and calibration, whose samples are those of a model that writes text."""
        quantization = ("quantization",) if self.texts() else ()
        return (*super().only_text(), *(("min_agreement",) if self.min_agreement else ()), *quantization)

    def texts(self) -> Calibration | None:
        """Where the texts come from, if the recipe requests a method that needs some."""
        return self.quantization.calibration if isinstance(self.quantization, FourBit) else None

    def unranked(self) -> str:
        """Another format than int4, and options that choose layers themselves."""
        options = self.quantization
        if not isinstance(options, quantization.Int4):
            return "Only layers in int4 are measured."
        named = ("all_layers", "sensitivity_metric", "ignored_scope", "backup_scope")
        chosen = [name for name in named if getattr(options, name)] + ["group_size_fallback"] * (options.group_size_fallback != "error")
        return f"{chosen[0]} chooses layers, too." if chosen else ""

    @classmethod
    def coarseness(cls, option: str, value: JsonValue) -> float | None:
        """Where a value stands among those of a monotone option, as `quantization.coarseness` knows."""
        return quantization.coarseness(option, value)


def given(options: RuntimeOptions | None) -> dict[str, str | int]:
    """The options that are set, as the runtime takes them; empty for its defaults."""
    return options.model_dump(mode="json", exclude_none=True) if options else {}
