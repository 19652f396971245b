"""What a build for ONNX Runtime may request. Precisions have the names that its files get, which Transformers.js looks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bakehouse.recipe.build import RuntimeBuild
from bakehouse.recipe.model import Model

Weights = Literal["fp32", "fp16", "int8"]
# By precision: in the folder `onnx`, as sentence-transformers and Transformers.js name them.
GRAPHS: Mapping[Weights, str] = {"fp32": "model.onnx", "fp16": "model_fp16.onnx", "int8": "model_quantized.onnx"}
FOLDER = "onnx"

_OTHERS = ("group_size", "ratio", "symmetric", "block_size", "calibration")


class OnnxFloat(Model):
    """Weights in floating point; nothing is quantized."""

    weights: Literal["fp32", "fp16"] = Field(description="Precision of the weights.")

    elsewhere: ClassVar[Mapping[str, str]] = {
        field: f"weights in floating point are not quantized; {field} does not apply" for field in ("reduce_range", *_OTHERS)
    }


class OnnxInt8(Model):
    """Weights of matrix products and embeddings in 8-bit integers, activations rounded to 8 bits while it runs (dynamic quantization)."""

    weights: Literal["int8"] = Field(description="Precision of the weights.")
    reduce_range: bool = Field(
        False,
        description="Whether weights have 7 of the 8 bits, so that sums stay right on processors without VNNI instructions.",
    )

    elsewhere: ClassVar[Mapping[str, str]] = {
        field: f"dynamic quantization has one scale for each column of a matrix product, and no zero points; {field} does not apply"
        for field in _OTHERS
    }


class OnnxRuntime(RuntimeBuild):
    """ONNX for ONNX Runtime, sentence-transformers and Transformers.js."""

    tasks: ClassVar[tuple[str, ...]] = ("embeddings", "reranker")
    # Its models write no tokens that could agree.
    min_agreement: ClassVar[int] = 0
    min_agreement_reason: ClassVar[str | None] = None

    runtime: Literal["onnxruntime"] = Field(description="ONNX for ONNX Runtime, sentence-transformers and Transformers.js.")
    quantization: Annotated[OnnxFloat | OnnxInt8, Field(discriminator="weights")] = Field(description="What is done to the weights.")

    elsewhere: ClassVar[Mapping[str, str]] = {
        "runtime_options": "ONNX Runtime computes in the model's own precision by itself; runtime_options does not apply",
        "min_agreement": "vectors and scores have no tokens that could agree; min_agreement does not apply",
        "execution_provider": "the graph is the same for every execution provider; execution_provider does not apply",
    }

    def when_wrong(self) -> str:
        """Fewer bits, which is all that helps where the processor and not the quantization is the cause."""
        if not isinstance(self.quantization, OnnxInt8) or self.quantization.reduce_range:
            return super().when_wrong()
        return (
            "on an x86 processor without VNNI instructions, which cuts off sums of 8-bit products, give the build "
            "`quantization: {weights: int8, reduce_range: true}`; elsewhere choose a quantization that loses less, or say how far it may be"
        )

    def graph(self) -> str:
        """The path of its graph within a package."""
        return f"{FOLDER}/{GRAPHS[self.quantization.weights]}"
