"""What NNCF can do to weights, and which combinations it refuses or ignores: we refuse both, with the reason.

Sources, all read in optimum-intel 2.1.0 and nncf 3.4.0: `post_init` is OVWeightQuantizationConfig.post_init in
optimum/intel/openvino/configuration.py; `check` is check_user_compression_configuration and `WeightCompression` the class, both in
nncf/quantization/algorithms/weight_compression/algorithm.py; `compress_weights` is in nncf/quantization/quantize_model.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, JsonValue, WithJsonSchema

from bakehouse.recipe.calibration import Calibration
from bakehouse.recipe.model import Model, Rule
from bakehouse.recipe.types import Expression, Text, quoted, refusal

Metric = Literal[
    "weight_quantization_error",
    "hessian_input_activation",
    "mean_activation_variance",
    "max_activation_variance",
    "mean_activation_magnitude",
]
Fallback = Literal["error", "ignore", "adjust"]


# Whose weights NNCF compresses: matmul_metatypes, convolution_metatypes and embedding_metatypes of OVWeightCompressionAlgoBackend.
WITH_WEIGHTS = (
    "MatMul",
    "Gather",
    "GroupedMatMul",
    "Convolution",
    "ConvolutionBackpropData",
    "GroupConvolution",
    "GroupConvolutionBackpropData",
)


def _with_weights(value: str) -> str:
    if value not in WITH_WEIGHTS:
        raise refusal(
            f"NNCF compresses no weights of operations of type {quoted(value)}, so leaving them out would change nothing",
            f"It is one of {', '.join(WITH_WEIGHTS)}.",
        )
    return value


class Scope(Model):
    """Nodes of the model whose weights are treated otherwise; every entry must match one for which that changes something."""

    names: tuple[Text, ...] = Field((), description="Names of nodes.")
    patterns: tuple[Expression, ...] = Field((), description="Regular expressions over the names of nodes.")
    types: tuple[Annotated[str, AfterValidator(_with_weights), WithJsonSchema({"enum": list(WITH_WEIGHTS)})], ...] = Field(
        (), description="Types of operations: MatMul, or Gather for embeddings."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "names",
            lambda s: not (s.names or s.patterns or s.types),
            "a scope without entries changes nothing",
            "Name nodes, or leave it out.",
        ),
    )

    def holds(self, kind: str, names: Iterable[str]) -> bool:
        """Whether an operation of this type, with any of these names, is in it; patterns match from a name's beginning, as in NNCF."""
        given = tuple(names)
        if kind in self.types or any(name in self.names for name in given):
            return True
        return any(re.match(pattern, name) for pattern in self.patterns for name in given)


# Why a field of one format does not apply to another.
_FLOAT = "weights in floating point are not quantized"
_INT8 = "int8 puts all weights in 8 bits with one scale a channel"
_MXFP4 = "mxfp4 has groups of 32 with a power-of-two scale"
_METHODS = ("awq", "scale_estimation", "gptq", "lora_correction")
_MIXED = ("ratio", "all_layers", "backup_precision", "backup_scope", "sensitivity_metric")
_GROUPS = ("group_size", "group_size_fallback")


class Float(Model):
    """Weights in floating point; nothing is quantized."""

    weights: Literal["fp32", "fp16"] = Field(description="Precision of the weights.")

    elsewhere: ClassVar[Mapping[str, str]] = {
        field: f"{_FLOAT}; {field} does not apply" for field in ("symmetric", *_GROUPS, *_MIXED, *_METHODS, "calibration", "ignored_scope")
    }


class Int8(Model):
    """All weights in 8-bit integers, one scale a channel."""

    weights: Literal["int8"] = Field(description="Precision of the weights.")
    symmetric: bool = Field(False, description="Whether the integers have no zero point.")
    ignored_scope: Scope | None = Field(None, description="Nodes to leave as they are.")

    # post_init and check refuse each of these for 8 bits.
    elsewhere: ClassVar[Mapping[str, str]] = {
        field: f"{_INT8}; {field} does not apply" for field in (*_GROUPS, *_MIXED, *_METHODS, "calibration")
    }


class FourBit(Model):
    """What every 4-bit format has in common."""

    ratio: float = Field(
        1.0, gt=0.0, le=1.0, description="Share of the ratio-defining weights that get 4 bits; the others get backup_precision."
    )
    all_layers: bool = Field(False, description="Whether embeddings and the last MatMul may get 4 bits too.")
    backup_precision: Literal["none", "int8_sym", "int8_asym"] = Field("int8_asym", description="What weights get that do not get 4 bits.")
    backup_scope: Scope | None = Field(
        None,
        description="Nodes that get backup_precision whatever their rank; ratio counts the others. A search can write it.",
        exclude_if=lambda scope: scope is None,
    )
    sensitivity_metric: Metric | None = Field(
        None, description="How layers are ranked; by default weight_quantization_error, or with a calibration max_activation_variance."
    )
    ignored_scope: Scope | None = Field(None, description="Nodes to leave as they are.")
    calibration: Calibration | None = Field(None, description="Texts for the methods that look at activations.")

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods beyond rounding that the recipe requests."""
        return tuple(method for method in _METHODS if getattr(self, method, False))

    @property
    def usual_metric(self) -> Metric:
        """What layers are ranked by if the recipe does not say (get_weight_compression_configuration in NNCF)."""
        return "max_activation_variance" if self.calibration else "weight_quantization_error"

    @property
    def looks_at_data(self) -> bool:
        """Whether a calibration would change anything (WeightCompression: _data_aware_mixed_precision, _data_aware_compression)."""
        return bool(self.methods) or (self.ratio < 1.0 and self.sensitivity_metric != "weight_quantization_error")

    rules: ClassVar[tuple[Rule, ...]] = (
        # NNCF ignores: WeightCompression.apply_mixed_precision ranks only where ratio < 1.
        Rule(
            "sensitivity_metric",
            lambda q: q.sensitivity_metric not in (None, q.usual_metric) and q.ratio == 1.0,
            "with ratio 1.0 no layers are ranked, so sensitivity_metric would change nothing",
        ),
        # check refuses.
        Rule(
            "sensitivity_metric",
            lambda q: q.ratio < 1.0 and q.sensitivity_metric not in (None, "weight_quantization_error") and q.calibration is None,
            "this metric looks at activations and needs a calibration; without one only weight_quantization_error works",
        ),
        # post_init only warns.
        Rule(
            "calibration",
            lambda q: q.calibration is not None and not q.looks_at_data,
            "nothing looks at the calibration: no awq, scale_estimation, gptq or lora_correction, no layers ranked by activations",
        ),
        # NNCF ignores: _get_ratio_defining_params takes every MatMul and embedding; only `adjust` falls back on the backup precision.
        Rule(
            "backup_precision",
            lambda q: (
                q.backup_precision != "int8_asym"
                and q.ratio == 1.0
                and q.all_layers
                and q.backup_scope is None
                and getattr(q, "group_size_fallback", "") != "adjust"
            ),
            "with ratio 1.0 and all_layers every weight gets 4 bits, so backup_precision would change nothing",
        ),
        # A second pass of NNCF gives these nodes 8 bits; it would take what is in floating point on purpose, too.
        Rule(
            "backup_scope",
            lambda q: q.backup_scope is not None and q.backup_precision == "none",
            "with backup_precision none these nodes would stay as they are",
            "Name them in ignored_scope, or choose int8_asym.",
        ),
        Rule(
            "backup_scope",
            lambda q: q.backup_scope is not None and getattr(q, "group_size_fallback", "") == "ignore",
            "group_size_fallback ignore leaves layers in floating point, and backup_scope would put them in 8 bits",
            "Choose group_size_fallback error or adjust.",
        ),
    )


def _uncalibrated(method: str) -> Callable[[FourBit], bool]:
    return lambda quantization: bool(getattr(quantization, method)) and quantization.calibration is None


def _group_size(value: int) -> int:
    # WeightCompressionConfig.__post_init__ and post_init refuse; that it divides every channel is known with the model only.
    if value == 0 or value < -1:
        raise refusal(
            f"a group of {value} weights cannot be", "Write -1 for the whole channel, or a number that divides every channel, as 128 or 64."
        )
    return value


class Grouped(FourBit):
    """What the 4-bit formats with groups of any size have in common."""

    group_size: Annotated[int, AfterValidator(_group_size), Field(json_schema_extra={"anyOf": [{"const": -1}, {"minimum": 1}]})] = Field(
        128, description="Weights that share a scale; -1 is the whole channel."
    )
    group_size_fallback: Fallback = Field("error", description="What to do with a layer whose channels the group size does not divide.")
    awq: bool = Field(False, description="Whether to scale by activations first (AWQ); without a calibration, by the weights alone.")
    scale_estimation: bool = Field(False, description="Whether scales are chosen to minimize the layers' error; needs a calibration.")
    gptq: bool = Field(False, description="Whether to round with GPTQ; needs a calibration.")
    lora_correction: bool = Field(
        False, description="Whether to add low-rank adapters that correct the error; needs a calibration; not with gptq."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        *FourBit.rules,
        # NNCF ignores: _handle_ignore_group_size_fallback and _handle_adjust_group_size_fallback return at once.
        Rule(
            "group_size_fallback",
            lambda q: q.group_size_fallback != "error" and q.group_size == -1,
            "group_size -1 fits every channel, so group_size_fallback would change nothing",
        ),
        # compress_weights refuses.
        *(Rule(method, _uncalibrated(method), f"{method} needs a calibration") for method in _METHODS[1:]),
        # post_init and compress_weights refuse.
        Rule("lora_correction", lambda q: q.gptq and q.lora_correction, "lora_correction and gptq cannot be applied together"),
        # NNCF fails: LoraCorrectionAlgorithm.calculate_adapters looks for activations of every 4-bit weight, and embeddings have none.
        Rule(
            "lora_correction",
            lambda q: q.lora_correction and q.all_layers,
            "lora_correction cannot correct embeddings, to which all_layers gives 4 bits",
        ),
    )


class Int4(Grouped):
    """Weights in 4-bit integers."""

    weights: Literal["int4"] = Field(description="Precision of the weights.")
    symmetric: bool = Field(False, description="Whether the integers have no zero point.")


class Nf4(Grouped):
    """Weights in 4-bit NormalFloat."""

    weights: Literal["nf4"] = Field(description="Precision of the weights.")

    elsewhere: ClassVar[Mapping[str, str]] = {"symmetric": "nf4 has no zero points in any case; symmetric does not apply"}
    rules: ClassVar[tuple[Rule, ...]] = (
        *Grouped.rules,
        # NNCF ignores: GPTQ._quantize_weights estimates scales for integers only.
        Rule(
            "scale_estimation",
            lambda q: q.gptq and q.scale_estimation,
            "gptq estimates scales for integers only, so with nf4 scale_estimation would change nothing",
        ),
    )


class Mxfp4(FourBit):
    """Weights in OCP microscaling FP4: groups of 32 share a power-of-two scale."""

    weights: Literal["mxfp4"] = Field(description="Precision of the weights.")
    group_size_fallback: Literal["error", "ignore"] = Field(
        "error", description="What to do with a layer whose channels 32 does not divide."
    )

    # check, post_init and compress_weights refuse each of these for mxfp4.
    elsewhere: ClassVar[Mapping[str, str]] = {
        "symmetric": f"{_MXFP4}, without zero points; symmetric does not apply",
        "group_size": f"{_MXFP4}; group_size does not apply",
        **{method: f"{method} works on int4 and nf4, not on mxfp4" for method in _METHODS},
    }


Quantization = Annotated[Float | Int8 | Int4 | Nf4 | Mxfp4, Field(discriminator="weights")]


def normal(quantization: Quantization) -> Quantization:
    """The same quantization with what is left open spelled out and sets in order, so that equals are equal."""
    changes: dict[str, object] = {}
    if isinstance(quantization, FourBit):
        changes["sensitivity_metric"] = quantization.sensitivity_metric or quantization.usual_metric
    for field in ("ignored_scope", "backup_scope"):
        if scope := getattr(quantization, field, None):
            changes[field] = Scope(
                names=tuple(sorted(set(scope.names))), patterns=tuple(sorted(set(scope.patterns))), types=tuple(sorted(set(scope.types)))
            )
    return quantization.model_copy(update=changes)


# Measured on SmolLM2-135M: ratio and group size order size and divergence alike. int8_sym and int8_asym differ too little to say.
_BACKUPS = {"none": 0.0, "int8_asym": 1.0, "int8_sym": 1.0}


def coarseness(option: str, value: JsonValue) -> float | None:
    """A higher number where the value makes a smaller model that is farther from its source; None where that is not known."""
    match option, value:
        case "group_size", int():
            return math.inf if value == -1 else float(value)
        case "ratio" | "all_layers", bool() | int() | float():
            return float(value)
        case "backup_precision", str():
            return _BACKUPS.get(value)
        case _:
            return None
