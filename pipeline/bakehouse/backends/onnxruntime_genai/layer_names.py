"""How a layer is called in torch and in a graph of the model builder (onnxruntime-genai 0.18)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

_NODE = re.compile(r"/model/layers\.(\d+)/(?:attn|mlp)/(\w+)/MatMul")
_NAME = re.compile(r"(?:\w+\.)*layers\.(\d+)\.(?:\w+\.)*(\w+)\.weight")
# A node's matrix is several of torch's below one another, or a part of one: (the name in torch, which part, of how many).
_STACKED = {"qkv_proj": ("q_proj", "k_proj", "v_proj")}
_HALVES = {"gate_proj": ("gate_up_proj", 0, 2), "up_proj": ("gate_up_proj", 1, 2)}


@dataclass(frozen=True)
class Part:
    """Rows of one of torch's matrices: part `number` of `of` equal ones."""

    name: str
    number: int = 0
    of: int = 1


def layer_of(node: str) -> int | None:
    """The number of the layer that a node's matrix belongs to; None for the last MatMul and for what has another name."""
    found = _NODE.fullmatch(node)
    return int(found[1]) if found else None


def parts(node: str, present: Collection[str]) -> tuple[Part, ...]:
    """torch's matrices of a node, in order, of those that its layer has; () where its name is another one."""
    found = _NODE.fullmatch(node)
    if found is None:
        return ()
    own = found[2]
    if own in present:
        return (Part(own),)
    if own in _HALVES and _HALVES[own][0] in present:
        return (Part(*_HALVES[own]),)
    stacked = _STACKED.get(own, ())
    return tuple(Part(name) for name in stacked) if stacked and all(name in present for name in stacked) else ()


def share(weight: str, nodes: Collection[str]) -> float:
    """Which share of one of torch's weights, "model.layers.0.mlp.down_proj.weight", the nodes have."""
    found = _NAME.fullmatch(weight)
    if found is None:
        return 0.0
    inside = {match[2] for node in nodes if (match := _NODE.fullmatch(node)) and match[1] == found[1]}
    own = found[2]
    if own in inside or any(own in stacked and name in inside for name, stacked in _STACKED.items()):
        return 1.0
    return sum(name in inside and whole == own for name, (whole, _, _) in _HALVES.items()) / 2
