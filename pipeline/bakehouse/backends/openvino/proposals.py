"""The OpenVINO builds that a new recipe gets: 4 bits in the largest groups that divide every layer, and 8 bits."""

from __future__ import annotations

from bakehouse.backends.base import Proposal, Proposals
from bakehouse.backends.openvino.options import OpenVINO

_SMALL = 1_500_000_000  # weights; below that groups of 64 and more cost too many answers (measured with SmolLM2 and Qwen2.5-0.5B)
_EXACT = {"EXECUTION_MODE_HINT": "ACCURACY"}
_WHY_EXACT = "ACCURACY: compute in the model's own precision, which quantized weights need on processors that round to bfloat16 by default."


def proposals(parameters: int | None) -> Proposals:
    """Builds for a new recipe, for a model of so many weights; of an unknown one groups of 32, which divide what GGUF quantizes."""
    small = parameters is None or parameters < _SMALL
    sizes = (32, -1) if small else (128, 64, 32, -1)
    return tuple(_int4(size, 0.8 if small else 1.0) for size in sizes), (_int8(),)


def _int4(group_size: int, ratio: float) -> Proposal:
    quantization = {"weights": "int4", "symmetric": False, "group_size": group_size, "ratio": ratio}
    groups = "a scale for each channel" if group_size == -1 else f"a scale for each {group_size} weights"
    kept = "" if ratio == 1.0 else f"; {1 - ratio:.0%} of the layers stay in 8 bits, those that lose most"
    build = OpenVINO.model_validate({"runtime": "openvino", "quantization": quantization, "runtime_options": _EXACT})
    return Proposal("int4-openvino", build, f"Intel CPU and GPU: 4 bits, {groups}{kept}. {_WHY_EXACT}")


def _int8() -> Proposal:
    build = OpenVINO.model_validate({"runtime": "openvino", "quantization": {"weights": "int8"}, "runtime_options": _EXACT})
    return Proposal("int8-openvino", build, "Intel CPU and GPU: 8 bits, nearest to the source of all quantized builds.")
