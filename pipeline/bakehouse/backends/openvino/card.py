"""What is peculiar to OpenVINO on a model card; card.md.jinja next to it says how to use the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bakehouse.backends import card_words
from bakehouse.backends.base import CardFacts, HubWords
from bakehouse.backends.card_words import Rows
from bakehouse.backends.openvino import options
from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.backends.openvino.quantization import Float, FourBit, Grouped, Int4, Int8, Mxfp4, Nf4
from bakehouse.recipe.kinds import BuildOptions

TOOLS: tuple[str, ...] = (
    "openvino",
    "openvino-genai",
    "openvino-tokenizers",
    "optimum-intel",
    "nncf",
    "diffusers",
    "transformers",
    "torch",
)


@dataclass(frozen=True)
class Facts(CardFacts):
    """`runtime_options`: what the card's program gives the runtime; `draft`: the folder of the draft, "" without one.

    `separate_adapters`: whether the program has adapters, which are next to the model.
    `plugin_options` are those of them that a compiled model takes; `prefix_caching` is None where the runtime decides.
    """

    runtime_options: Mapping[str, str | int]
    draft: str
    plugin_options: Mapping[str, str | int]
    prefix_caching: str | int | None
    separate_adapters: bool


def hub_words(builds: Sequence[BuildOptions]) -> HubWords:
    """What the hub files such a model under, as the OpenVINO organisation's cards do."""
    weights = builds[0].quantization.weights
    quantized = [] if weights in ("fp16", "fp32") else ["nncf"]
    return HubWords(("openvino", "openvino-genai", *quantized, weights))


def format_of(build: BuildOptions) -> str:
    """What the model is in now."""
    return "OpenVINO IR"


def facts(build: BuildOptions) -> Facts:
    """The runtime options of the recipe."""
    assert isinstance(build, OpenVINO)
    given = options.given(build.runtime_options)
    draft, plugin = options.DRAFT if build.draft else "", options.of_the_plugin(given)
    return Facts(given, draft, plugin, given.get("enable_prefix_caching"), build.adapters_are_separate())


def quantization(build: BuildOptions) -> Rows:
    """What NNCF did to the weights."""
    assert isinstance(build, OpenVINO)
    done = build.quantization
    if isinstance(done, Float):
        return (("Weights", card_words.weights(done.weights)),)
    if isinstance(done, Int8):
        rows: Rows = (("Weights", card_words.weights(done.weights, symmetric=done.symmetric)), ("Scales", card_words.scales(-1)))
    else:
        rows = (*_four_bits(done), ("Method", _method(done)))
    left = done.ignored_scope
    named = [*left.names, *left.patterns, *left.types] if left else []
    return (*rows, ("Left as in the source", ", ".join(named))) if named else rows


def _four_bits(done: Int4 | Nf4 | Mxfp4) -> Rows:
    """What gets 4 bits, and what the rest gets."""
    rest = card_words.stored(done.backup_precision)
    rows: Rows = (("Weights", card_words.weights(done.weights, symmetric=done.symmetric if isinstance(done, Int4) else None)),)
    if isinstance(done, Grouped):
        rows += (("Scales", card_words.scales(done.group_size)),)
    if done.ratio < 1:
        metric = f", chosen by {done.sensitivity_metric.replace('_', ' ')}" if done.sensitivity_metric else ""
        rows += (("Share in 4 bits", f"{100 * done.ratio:g} % of the weights of the inner layers{metric}; the others {rest}"),)
    if kept := done.backup_scope:
        rows += (
            ("Layers kept out of 4 bits", f"{len(kept.names)} layers by name" if kept.names else ", ".join((*kept.patterns, *kept.types))),
        )
    return (*rows, ("Embeddings and last layer", "4 bits too" if done.all_layers else rest))


def _method(done: FourBit) -> str:
    """How weights are rounded, and with which texts."""
    names = {"awq": "AWQ", "scale_estimation": "scale estimation", "gptq": "GPTQ", "lora_correction": "LoRA correction"}
    used = [words for field, words in names.items() if getattr(done, field, False)]
    texts = f", with up to {done.calibration.num_samples} calibration texts" if done.calibration else ", without calibration texts"
    return (", ".join(used) or "round to nearest") + texts


def title(build: BuildOptions) -> str:
    """The runtime, as people call it."""
    return "OpenVINO"
