"""The NPU build that a new recipe gets: 4 bits, in groups of 128 or, for large models, a scale for each channel."""

from __future__ import annotations

from bakehouse.backends.base import Proposal, Proposals
from bakehouse.backends.openvino_npu.options import LARGEST_GROUPED, OpenVINONpu


def proposals(parameters: int | None) -> Proposals:
    """Builds for a new recipe, for a model of so many weights."""
    sizes = (-1,) if parameters is not None and parameters > LARGEST_GROUPED else (128, -1)
    return (tuple(_int4(size) for size in sizes),)


def _int4(group_size: int) -> Proposal:
    quantization = {"weights": "int4", "group_size": group_size}
    build = OpenVINONpu.model_validate({"runtime": "openvino-npu", "quantization": quantization, "platforms": (4000,)})
    return Proposal("int4-npu", build, "Intel NPU, compiled ahead of time for Lunar Lake (4000); 3720 is Meteor Lake, 5010 Panther Lake.")
