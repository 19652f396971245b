"""How a layer is called in torch and in an exported graph (optimum-intel 2.1.0, transformers 5)."""

from __future__ import annotations


def layer_of(node: str) -> str:
    """torch's name of the layer that a node of an exported graph belongs to."""
    return node.removeprefix("__module.").partition("/")[0]


def node_of(layer: str) -> str:
    """The name that the MatMul of a linear layer has in an exported graph."""
    return f"__module.{layer}/ov_ext::linear/MatMul"
