"""What is peculiar to models for an NPU on a model card; card.md.jinja beside it says how to use the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bakehouse.backends.openvino.card import TOOLS
from bakehouse.backends.openvino_npu.options import CODENAMES, OpenVINONpu, suffix
from bakehouse.recipe.recipe import BuildOptions

__all__ = ["TOOLS", "facts", "format_of", "hub_words", "title"]


def hub_words(builds: Sequence[BuildOptions]) -> dict[str, Any]:
    """What the hub files such a model under, as the OpenVINO organisation's cards do."""
    weights = builds[0].quantization.weights
    tags = ["openvino", "openvino-genai", "npu", *([] if weights == "fp16" else ["nncf"]), weights]
    return {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": tags}


def format_of(build: BuildOptions) -> str:
    """What the model is in now, as the end of a sentence."""
    return "in OpenVINO IR for Intel NPUs"


def facts(build: BuildOptions) -> dict[str, Any]:
    """`codenames` of the platforms, and `repository_suffix`: how the OpenVINO organisation ends the names of such repositories."""
    assert isinstance(build, OpenVINONpu)
    return {"codenames": CODENAMES, "repository_suffix": suffix(build)}


def title(build: BuildOptions) -> str:
    """The device, as people call it."""
    return "NPU"
