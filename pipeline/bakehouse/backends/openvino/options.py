"""What a build can have its users give OpenVINO at run time: the options that change answers, in the runtime's own names.

Sources: openvino 2026.4.1, SUPPORTED_PROPERTIES of the CPU plugin and what its core refuses for each; ATTENTION_BACKEND is
openvino_genai 2026.4.1's (LLMPipeline), and enable_prefix_caching its SchedulerConfig's, which has it off where it is made by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, Field, JsonValue

from bakehouse.backends.openvino import quantization
from bakehouse.backends.openvino.quantization import FourBit, Quantization
from bakehouse.recipe import agreement
from bakehouse.recipe.build import RuntimeBuild
from bakehouse.recipe.calibration import Calibration
from bakehouse.recipe.model import Fault, Model, Rule
from bakehouse.recipe.types import Name

DRAFT = "draft"  # the folder of a package with the small model that proposes tokens


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

    enable_prefix_caching: bool | None = Field(
        None,
        description="Whether OpenVINO GenAI keeps what it has computed of a prompt, for later ones that begin alike; by default it does.",
        exclude_if=_is_unset,
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        # LLMPipeline (src/llm/pipeline.cpp): a scheduler's configuration, which has this option, is that of paged attention.
        Rule(
            "enable_prefix_caching",
            lambda o: o.enable_prefix_caching is not None and o.ATTENTION_BACKEND == "SDPA",
            "OpenVINO GenAI keeps prompts only where it computes attention paged, and ATTENTION_BACKEND is SDPA",
            "Leave out one of the two.",
        ),
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
    draft: Name | None = Field(
        None,
        description="One of the recipe's `drafts`: a small model that proposes tokens, so that answers are the same and come faster.",
        exclude_if=_is_unset,
    )

    adapters: Literal["merged", "separate"] = Field(
        "merged",
        description="What becomes of the source's LoRA adapters: `merged` into the weights, or `separate` files in the package, which "
        "OpenVINO GenAI applies when the model is loaded and a program can leave out.",
        exclude_if=lambda chosen: chosen == "merged",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "adapters",
            lambda b: b.draft and b.adapters == "separate",
            "a draft next to separate adapters was not tried",
            "Leave out one of the two, or have the adapters merged.",
        ),
        # LLMPipeline (src/llm/pipeline.cpp) computes attention paged wherever it is given a draft, on CPU and GPU.
        Rule(
            "draft",
            lambda b: b.draft and given(b.runtime_options).get("ATTENTION_BACKEND") == "SDPA",
            "with a draft OpenVINO GenAI computes attention paged, so ATTENTION_BACKEND=SDPA would have no effect",
            "Leave out one of the two.",
        ),
    )

    def normal(self) -> Self:
        """The same with what is left open spelled out, so that equals are equal."""
        return self.model_copy(update={"quantization": quantization.normal(self.quantization)})

    def only_text(self) -> tuple[str, ...]:
        """Also what compares or proposes tokens, and calibration, whose samples are those of a model that writes text."""
        chosen = [name for name in ("min_agreement", "draft") if getattr(self, name)]
        if self.runtime_options and self.runtime_options.enable_prefix_caching is not None:
            chosen.append("runtime_options")
        if self.adapters_are_separate():
            chosen.append("adapters")
        return (*super().only_text(), *chosen, *(("quantization",) if self.texts() else ()))

    def adapters_are_separate(self) -> bool:
        """Whether OpenVINO GenAI applies them."""
        return self.adapters == "separate"

    def drafted_by(self) -> str | None:
        """The recipe's draft that it names."""
        return self.draft

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


# Options that the plugin does not know: what openvino_genai does with the model.
OF_THE_PIPELINE = ("ATTENTION_BACKEND", "enable_prefix_caching")


def of_the_plugin(options: Mapping[str, str | int]) -> dict[str, str | int]:
    """The options that a compiled model takes, of those that users give the pipeline."""
    return {name: value for name, value in options.items() if name not in OF_THE_PIPELINE}


def given(options: RuntimeOptions | None) -> dict[str, str | int]:
    """The options that are set, as the runtime takes them; empty for its defaults."""
    return options.model_dump(mode="json", exclude_none=True) if options else {}
