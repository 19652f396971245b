"""What the Intel NPU Acceleration Library can make of a model: its linear layers in one of three precisions, everything else as it was.

Sources, read in intel-npu-acceleration-library 1.4.0: `compile` in compiler.py, `quantize_fit` in quantization.py (symmetric, one scale
a channel, round to nearest; no other choice is passed on to neural-compressor).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from bakehouse.recipe import agreement
from bakehouse.recipe.build import RuntimeBuild
from bakehouse.recipe.model import Model, Rule

_FIXED = "the library rounds to nearest, symmetric, with one scale a channel"
_FIELDS = (
    *("symmetric", "group_size", "ratio", "backup_precision", "all_layers"),
    *("awq", "scale_estimation", "gptq", "calibration", "ignored_scope", "backup_scope"),
)


class NpuLibraryQuantization(Model):
    """Precision of the linear layers' weights; the library takes no other option."""

    weights: Literal["int4", "int8", "fp16"] = Field(description="Precision of the weights.")

    elsewhere: ClassVar[Mapping[str, str]] = {field: f"{_FIXED}; {field} does not apply" for field in _FIELDS}


class NpuLibrary(RuntimeBuild):
    """The compiled model of the archived Intel NPU Acceleration Library, a pickle."""

    runtime: Literal["intel-npu-acceleration-library"] = Field(
        description="The compiled model of the archived Intel NPU Acceleration Library, a pickle."
    )
    quantization: NpuLibraryQuantization = Field(description="What is done to the linear layers.")
    torch_dtype: Literal["float32", "float16"] = Field(
        "float32",
        description="Precision of all but the linear layers, as given to from_pretrained; float32 is also what that does by itself.",
    )
    min_agreement: agreement.Tokens = 0
    min_agreement_reason: agreement.Reason = None

    elsewhere: ClassVar[Mapping[str, str]] = {
        "runtime_options": "the library takes no options when it runs a model; runtime_options does not apply"
    }
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "unknown_architecture",
            lambda b: b.unknown_architecture == "try",
            "the library's models of other types than phi3 are generated Python code, which nothing can verify",
            "Leave it out.",
        ),
    )

    def stood_in(self) -> bool:
        """The library computes on the CPU where there is no NPU."""
        return True

    def remark(self) -> str:
        """That it is a pickle."""
        return "its model is a pickle, which can run any code while it is loaded; it is published only with publish.allow_pickle: true"
