"""What is peculiar to models for an NPU on a model card; card.md.jinja next to it says how to use the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bakehouse.backends.base import CardFacts, HubWords
from bakehouse.backends.openvino.card import TOOLS
from bakehouse.backends.openvino_npu.options import CODENAMES, OpenVINONpu, suffix
from bakehouse.recipe.recipe import BuildOptions

__all__ = ["TOOLS", "facts", "format_of", "hub_words", "title"]


@dataclass(frozen=True)
class Facts(CardFacts):
    """`codenames` of the platforms, and `repository_suffix`: how the OpenVINO organisation ends the names of such repositories."""

    codenames: Mapping[int, str]
    repository_suffix: str


def hub_words(builds: Sequence[BuildOptions]) -> HubWords:
    """What the hub files such a model under, as the OpenVINO organisation's cards do."""
    weights = builds[0].quantization.weights
    return HubWords(("openvino", "openvino-genai", "npu", *([] if weights == "fp16" else ["nncf"]), weights))


def format_of(build: BuildOptions) -> str:
    """What the model is in now, as the end of a sentence."""
    return "in OpenVINO IR for Intel NPUs"


def facts(build: BuildOptions) -> Facts:
    """The platforms' names, and the ending of a repository's name."""
    assert isinstance(build, OpenVINONpu)
    return Facts(CODENAMES, suffix(build))


def title(build: BuildOptions) -> str:
    """The device, as people call it."""
    return "NPU"
