"""What is peculiar to the Intel NPU Acceleration Library on a model card; card.md.jinja next to it says how to use the model."""

from __future__ import annotations

from collections.abc import Sequence

from bakehouse.backends import card_words
from bakehouse.backends.base import CardFacts, HubWords
from bakehouse.backends.card_words import Rows
from bakehouse.backends.npu_library.options import NpuLibrary
from bakehouse.recipe.kinds import BuildOptions

TOOLS: tuple[str, ...] = ("openvino", "transformers", "torch", "intel-npu-acceleration-library", "neural-compressor")


def hub_words(builds: Sequence[BuildOptions]) -> HubWords:
    """What the hub files such a model under."""
    return HubWords(("intel-npu-acceleration-library", "npu", "pickle", builds[0].quantization.weights))


def format_of(build: BuildOptions) -> str:
    """What the model is in now."""
    return "a model compiled by the Intel NPU Acceleration Library (a pickle)"


def facts(build: BuildOptions) -> CardFacts:
    """Nothing but what every card has."""
    return CardFacts()


def quantization(build: BuildOptions) -> Rows:
    """What the library did to the linear layers, and what everything else is in."""
    assert isinstance(build, NpuLibrary)
    linear = build.quantization.weights
    rows: Rows = (("Linear layers", card_words.weights(linear, symmetric=True)),)
    if linear != "fp16":
        rows += (("Scales", card_words.scales(-1)), ("Method", "round to nearest, without calibration texts"))
    return (*rows, ("All other weights", build.torch_dtype))


def title(build: BuildOptions) -> str:
    """The device, as people call it."""
    return "NPU"
