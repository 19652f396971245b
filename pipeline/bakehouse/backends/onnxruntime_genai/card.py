"""What is peculiar to ONNX Runtime GenAI on a model card; card.md.jinja beside it says how to use the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bakehouse.backends.base import CardFacts, HubWords
from bakehouse.backends.onnxruntime_genai.options import OnnxRuntimeGenAI
from bakehouse.backends.onnxruntime_genai.quantization import TITLES
from bakehouse.recipe.recipe import BuildOptions

TOOLS: tuple[str, ...] = (
    *("onnxruntime-genai", "onnxruntime-genai-winml", "onnxruntime-genai-directml", "onnxruntime-genai-cuda"),
    *("onnxruntime", "onnxruntime-directml", "onnxruntime-gpu", "onnx", "onnx-ir", "transformers", "torch"),
)
_FAMILY = "in ONNX for ONNX Runtime GenAI"


@dataclass(frozen=True)
class Facts(CardFacts):
    """`family`: what builds for any provider are in."""

    family: str


def hub_words(builds: Sequence[BuildOptions]) -> HubWords:
    """What the hub files such models under, as Microsoft's cards do."""
    precisions = dict.fromkeys(build.quantization.weights for build in builds)
    directml = ["DML"] if any(_ours(build).execution_provider == "dml" for build in builds) else []
    tags = ("ONNX", "ONNXRuntime", "onnxruntime-genai", *directml, *precisions)
    return HubWords(tags, library_name="onnxruntime-genai", inference=False)


def format_of(build: BuildOptions) -> str:
    """What the model is in now, as the end of a sentence."""
    return f"{_FAMILY} on {title(build)}"


def facts(build: BuildOptions) -> Facts:
    """What builds for any provider are in."""
    return Facts(_FAMILY)


def title(build: BuildOptions) -> str:
    """The execution provider, as people call it."""
    return TITLES[_ours(build).execution_provider]


def _ours(build: BuildOptions) -> OnnxRuntimeGenAI:
    assert isinstance(build, OnnxRuntimeGenAI)
    return build
