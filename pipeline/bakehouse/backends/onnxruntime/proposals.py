"""The ONNX builds that a new recipe of an embedding model or a reranker gets: 8 bits, and the weights as they are."""

from __future__ import annotations

from bakehouse.backends.base import Proposal, Proposals
from bakehouse.backends.onnxruntime.options import OnnxRuntime


def proposals(parameters: int | None) -> Proposals:
    """Builds for a new recipe."""
    return (
        (Proposal("int8-onnx", _build("int8"), "Any CPU, and browsers: a quarter of the size, rounds activations to 8 bits as well."),),
        (Proposal("fp32-onnx", _build("fp32"), "Any CPU: the source's own vectors."),),
    )


def _build(weights: str) -> OnnxRuntime:
    return OnnxRuntime.model_validate({"runtime": "onnxruntime", "quantization": {"weights": weights}})
