"""What is peculiar to OpenVINO on a model card; card.md.jinja beside it says how to use the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bakehouse.backends.openvino import options
from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.recipe.recipe import BuildOptions

TOOLS: tuple[str, ...] = ("openvino", "openvino-genai", "openvino-tokenizers", "optimum-intel", "nncf", "transformers", "torch")


def hub_words(builds: Sequence[BuildOptions]) -> dict[str, Any]:
    """What the hub files such a model under, as the OpenVINO organisation's cards do."""
    weights = builds[0].quantization.weights
    quantized = [] if weights in ("fp16", "fp32") else ["nncf"]
    return {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": ["openvino", "openvino-genai", *quantized, weights]}


def format_of(build: BuildOptions) -> str:
    """What the model is in now, as the end of a sentence."""
    return "in OpenVINO IR"


def facts(build: BuildOptions) -> dict[str, Any]:
    """`runtime_options`: what the card's program gives the runtime."""
    assert isinstance(build, OpenVINO)
    return {"runtime_options": options.given(build.runtime_options)}


def title(build: BuildOptions) -> str:
    """The runtime, as people call it."""
    return "OpenVINO"
