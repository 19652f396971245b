"""The ONNX builds that a new recipe gets: 4 bits in blocks of 32 for the CPU and for any DirectX 12 GPU."""

from __future__ import annotations

from bakehouse.backends.base import Proposal, Proposals
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI

_CPU = "Any CPU: 4 bits in blocks of 32; accuracy_level 4 multiplies in 8-bit integers, which is fastest."
_GPU = "Any GPU with DirectX 12, on Windows: 4 bits in blocks of 32."


def proposals(parameters: int | None) -> Proposals:
    """Builds for a new recipe."""
    blocks = {"weights": "int4", "block_size": 32}
    return (
        (Proposal("int4-ort-cpu", _build("cpu", {**blocks, "accuracy_level": 4}), _CPU),),
        (Proposal("int4-ort-directml", _build("dml", blocks), _GPU),),
    )


def _build(provider: str, quantization: dict[str, object]) -> OnnxRuntimeGenAI:
    return OnnxRuntimeGenAI.model_validate({"runtime": "onnxruntime-genai", "execution_provider": provider, "quantization": quantization})
