"""What each layer of a model does to it alone in 4 bits, as a worker measured it, and which ones get 4 bits for a share of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from bakehouse.steps.maker import Verification
from bakehouse.steps.seam import Report, Result

LAYERS = "layers.json"  # what a step that measures layers leaves: a list of Layer
WINDOWS = 2  # of text, to measure layers in: the choice is better than NNCF's by far (docs/benchmarks.md, "Which layers get 4 bits")


class Layer(BaseModel):
    """A linear layer: the node of its MatMul, how many weights it has, and what it does alone in 4 bits to the model, in nats."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: str
    weights: int
    harm: float


_LAYERS = TypeAdapter(tuple[Layer, ...])


class SensitivityResult(Result):
    """How many layers were measured, at how many positions of text."""

    layers: int
    positions: int


def verify(files: Path, report: Report) -> Verification:
    """Whether every layer was measured."""
    if not (files / LAYERS).is_file():
        return Verification(faults=(f"{LAYERS} was not made",))
    result = report.read(SensitivityResult)
    found = len(read(files))
    faults = () if found == result.layers else (f"{LAYERS} has {found} layers, and {result.layers} were measured",)
    return Verification(result.model_dump(mode="json"), faults)


def read(files: Path) -> tuple[Layer, ...]:
    """What the step left."""
    return _LAYERS.validate_json((files / LAYERS).read_bytes())


def out_of_four_bits(layers: Sequence[Layer], ratio: float) -> tuple[str, ...]:
    """The nodes that do not get 4 bits where those that do may have at most this share of the weights."""
    room = ratio * sum(layer.weights for layer in layers)
    kept = []
    for layer in sorted(layers, key=lambda layer: (layer.harm / layer.weights, layer.node)):
        if layer.weights <= room:
            room -= layer.weights
        else:
            kept.append(layer.node)
    return tuple(sorted(kept))
