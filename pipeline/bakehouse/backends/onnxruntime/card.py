"""What is peculiar to ONNX Runtime on a model card; the templates next to it say how to use a model of each task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bakehouse.backends import card_words
from bakehouse.backends.base import CardFacts, HubWords
from bakehouse.backends.card_words import Rows
from bakehouse.backends.onnxruntime.options import OnnxRuntime
from bakehouse.recipe.kinds import BuildOptions

TOOLS: tuple[str, ...] = ("onnxruntime", "onnxruntime-directml", "onnxruntime-gpu", "onnx", "tokenizers", "transformers", "torch")


@dataclass(frozen=True)
class Facts(CardFacts):
    """The path of the graph in the package, and whether activations are rounded while it runs."""

    graph: str
    dynamic: bool
    full_range: bool


def hub_words(builds: Sequence[BuildOptions]) -> HubWords:
    """What the hub files such a model under."""
    return HubWords(("onnx", "onnxruntime", "transformers.js", builds[0].quantization.weights), library_name="sentence-transformers")


def format_of(build: BuildOptions) -> str:
    """What the model is in now."""
    return "ONNX"


def facts(build: BuildOptions) -> Facts:
    """Where the graph is."""
    ours = _ours(build)
    dynamic = ours.quantization.weights == "int8"
    return Facts(graph=ours.graph(), dynamic=dynamic, full_range=dynamic and not getattr(ours.quantization, "reduce_range", False))


def quantization(build: BuildOptions) -> Rows:
    """What was done to the weights."""
    done = _ours(build).quantization
    if done.weights != "int8":
        return (("Weights", card_words.weights(done.weights)),)
    return (
        ("Weights", "int8, symmetric" + (", of which 7 bits are used" if done.reduce_range else "")),
        ("Scales", "one for each column of a matrix product, one for an embedding"),
        ("Activations", "rounded to 8 bits while it runs (dynamic quantization)"),
    )


def title(build: BuildOptions) -> str:
    """The runtime, as people call it."""
    return "ONNX Runtime"


def _ours(build: BuildOptions) -> OnnxRuntime:
    assert isinstance(build, OnnxRuntime)
    return build
