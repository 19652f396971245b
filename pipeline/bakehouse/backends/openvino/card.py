"""What is peculiar to OpenVINO on a model card; card.md.jinja next to it says how to use the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bakehouse.backends.base import CardFacts, HubWords
from bakehouse.backends.openvino import options
from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.recipe.recipe import BuildOptions

TOOLS: tuple[str, ...] = ("openvino", "openvino-genai", "openvino-tokenizers", "optimum-intel", "nncf", "transformers", "torch")


@dataclass(frozen=True)
class Facts(CardFacts):
    """`runtime_options`: what the card's program gives the runtime."""

    runtime_options: Mapping[str, str | int]


def hub_words(builds: Sequence[BuildOptions]) -> HubWords:
    """What the hub files such a model under, as the OpenVINO organisation's cards do."""
    weights = builds[0].quantization.weights
    quantized = [] if weights in ("fp16", "fp32") else ["nncf"]
    return HubWords(("openvino", "openvino-genai", *quantized, weights))


def format_of(build: BuildOptions) -> str:
    """What the model is in now, as the end of a sentence."""
    return "in OpenVINO IR"


def facts(build: BuildOptions) -> Facts:
    """The runtime options of the recipe."""
    assert isinstance(build, OpenVINO)
    return Facts(options.given(build.runtime_options))


def title(build: BuildOptions) -> str:
    """The runtime, as people call it."""
    return "OpenVINO"
