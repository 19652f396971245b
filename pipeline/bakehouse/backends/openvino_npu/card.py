"""What is peculiar to models for an NPU on a model card; card.md.jinja next to it says how to use the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bakehouse.backends import card_words
from bakehouse.backends.base import CardFacts, HubWords
from bakehouse.backends.card_words import Rows
from bakehouse.backends.openvino.card import TOOLS
from bakehouse.backends.openvino_npu.options import CODENAMES, INT8_CRASH, NpuFloat, NpuInt4, NpuInt8, OpenVINONpu
from bakehouse.recipe.kinds import BuildOptions

__all__ = ["TOOLS", "facts", "format_of", "hub_words", "quantization", "title"]


@dataclass(frozen=True)
class Facts(CardFacts):
    """`codenames` of the platforms; `int8_crash`: where a crash of models in 8 bits is described."""

    codenames: Mapping[int, str]
    int8_crash: str = INT8_CRASH


def hub_words(builds: Sequence[BuildOptions]) -> HubWords:
    """What the hub files such a model under, as the OpenVINO organisation's cards do."""
    weights = builds[0].quantization.weights
    return HubWords(("openvino", "openvino-genai", "npu", *([] if weights == "fp16" else ["nncf"]), weights))


def format_of(build: BuildOptions) -> str:
    """What the model is in now."""
    return "OpenVINO IR for Intel NPUs"


def facts(build: BuildOptions) -> Facts:
    """The platforms' names, and how long a text the graphs take."""
    assert isinstance(build, OpenVINONpu)
    return Facts(CODENAMES, longest_text=build.max_prompt_len + build.min_response_len)


def quantization(build: BuildOptions) -> Rows:
    """What NNCF did to the weights."""
    assert isinstance(build, OpenVINONpu)
    done = build.quantization
    if isinstance(done, NpuFloat):
        return (("Weights", card_words.weights(done.weights)),)
    if isinstance(done, NpuInt8):
        return (("Weights", card_words.weights(done.weights, symmetric=done.symmetric)), ("Scales", card_words.scales(-1)))
    return (
        ("Weights", card_words.weights(done.weights, symmetric=done.symmetric if isinstance(done, NpuInt4) else None)),
        ("Scales", card_words.scales(done.group_size)),
        ("Embeddings and last layer", card_words.stored(done.backup_precision)),
        ("Method", f"{'AWQ' if done.awq else 'round to nearest'}, without calibration texts"),
    )


def title(build: BuildOptions) -> str:
    """The device, as people call it."""
    return "NPU"
