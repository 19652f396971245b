"""Reads from an OpenVINO model's XML what its weights are. The backend judges what they should be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree


class NotAnIR(ValueError):
    """The file is not the XML of a model: a part of a sentence that says why."""


Role = Literal["embedding", "matmul", "last", "adapter", "convolution", "fixed"]

FLOATS = ("f32", "f16", "bf16")
# Operations that may be between a stored weight and its user: decompression, in the order in which NNCF inserts it.
_BETWEEN = ("Convert", "Subtract", "Multiply", "Reshape", "Transpose")


@dataclass(frozen=True)
class Weight:
    """One stored matrix.

    Attributes:
        name: the constant's; quantization renames it.
        users: names of the operations that use it, in the model's order; they stay the same.
        kind: the type of the first of them.
        type: element type as stored, as OpenVINO spells it ("i4", "u8", "bf16").
        count: number of weights.
        channel: size of the dimension that the user sums over or, in an embedding, of a row.
        group_size: weights that share a scale, -1 for the whole channel, 0 without a scale.
        symmetric: whether it has no zero points.
        role: its place in the model; "last" is the last MatMul with weights of its own, "adapter" a low-rank correction,
            "fixed" a table of which always the same rows are taken: the positions of a picture's parts.
    """

    name: str
    users: tuple[str, ...]
    kind: str
    type: str
    count: int
    channel: int
    group_size: int
    symmetric: bool
    role: Role

    @property
    def user(self) -> str:
        """The first that uses it, by which the weight is known."""
        return self.users[0]


@dataclass(frozen=True)
class Model:
    """What openvino_model.xml says: its matrices in the model's order, the bytes its .bin must have, and rt_info as nested texts."""

    weights: tuple[Weight, ...]
    bin_bytes: int
    info: Mapping[str, object]

    def option(self, *path: str) -> str | None:
        """The rt_info value at `path`, or None."""
        here: object = self.info
        for name in path:
            here = here.get(name) if isinstance(here, Mapping) else None
        return here if isinstance(here, str) else None


@dataclass
class _Layer:
    name: str
    type: str
    element: str = ""
    shape: tuple[int, ...] = ()
    transposed: tuple[bool, bool] = (False, False)


@dataclass
class _Graph:
    layers: dict[str, _Layer] = field(default_factory=dict)
    order: dict[str, int] = field(default_factory=dict)
    inputs: dict[str, dict[int, str]] = field(default_factory=dict)
    users: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    bin_bytes: int = 0
    info: dict[str, object] = field(default_factory=dict)
    convolutions: bool = False  # whether their weights are listed, too


def read(xml: Path, *, convolutions: bool = False) -> Model:
    """Read the model's XML; its weights are not touched. Those of MatMuls and Gathers are listed, and on request those of convolutions.

    Raises:
        NotAnIR: the file is not complete, or not a model.
    """
    graph = _parse(xml)
    graph.convolutions = convolutions
    try:
        return Model(tuple(_weights(graph)), graph.bin_bytes, graph.info)
    except NotAnIR:
        raise
    except (LookupError, ValueError) as error:
        raise NotAnIR(f"its layers and edges do not fit each other ({error})") from error
    except RecursionError as error:
        raise NotAnIR("its layers lead to each other in a circle") from error


def info(xml: Path) -> Mapping[str, object]:
    """The rt_info of a model's XML alone.

    Raises:
        NotAnIR: the file is not complete, or not a model.
    """
    return _parse(xml).info


def _parse(xml: Path) -> _Graph:
    try:
        return _graph(xml)
    except ElementTree.ParseError as error:
        raise NotAnIR(f"it is not complete: {error}") from error
    except (LookupError, ValueError, RecursionError) as error:
        raise NotAnIR(f"it is not as OpenVINO writes it ({error})") from error


def _graph(xml: Path) -> _Graph:
    graph = _Graph()
    depth = 0
    for event, element in ElementTree.iterparse(xml, ("start", "end")):
        depth += 1 if event == "start" else -1
        if event == "start":
            continue
        if element.tag == "layer" and depth == 2:  # deeper ones are bodies of loops
            _add_layer(graph, element)
            element.clear()
        elif element.tag == "edge" and depth == 2:
            source, target = element.attrib["from-layer"], element.attrib["to-layer"]
            port = int(element.attrib["to-port"])
            graph.inputs.setdefault(target, {})[port] = source
            graph.users.setdefault(source, []).append((target, port))
        elif element.tag == "rt_info" and depth == 1:
            graph.info = _nested(element)
    return graph


def _add_layer(graph: _Graph, element: ElementTree.Element) -> None:
    identity = element.attrib["id"]
    layer = _Layer(element.attrib["name"], element.attrib["type"])
    data = element.find("data")
    if layer.type == "MatMul" and data is not None:
        layer.transposed = (data.attrib["transpose_a"] == "true", data.attrib["transpose_b"] == "true")
    if layer.type == "Const" and data is not None:
        layer.element = data.attrib["element_type"]
        layer.shape = tuple(int(size) for size in data.attrib["shape"].split(",") if size.strip())
        graph.bin_bytes = max(graph.bin_bytes, int(data.attrib["offset"]) + int(data.attrib["size"]))
    graph.layers[identity] = layer
    graph.order[identity] = len(graph.order)


def _nested(element: ElementTree.Element) -> dict[str, object]:
    """rt_info as names and texts; an entry whose name is not an XML name is written `<info name=... value=...>`."""
    found: dict[str, object] = {}
    for child in element:
        name = child.attrib.get("name", child.tag)
        found[name] = child.attrib["value"] if "value" in child.attrib else _nested(child)
    return found


def _weights(graph: _Graph) -> Iterator[Weight]:
    """All matrices in the order of their first use; the one that only the last MatMul uses is marked."""
    found: list[tuple[list[tuple[str, int]], str]] = []
    for identity, layer in graph.layers.items():
        if layer.type == "Const" and sum(size > 1 for size in layer.shape) >= 2:  # others are biases, norms, frequencies
            uses = sorted(set(_uses(graph, identity)), key=lambda use: graph.order[use[0]])
            if uses:
                found.append((uses, identity))
    last = max((graph.order[uses[-1][0]] for uses, _ in found), default=-1)
    for uses, identity in sorted(found, key=lambda pair: graph.order[pair[0][0][0]]):
        yield _weight(graph, identity, uses, is_last=graph.order[uses[0][0]] == last)


def _uses(graph: _Graph, identity: str) -> Iterator[tuple[str, int]]:
    """The operations that a constant reaches through its decompression, and at which input."""
    for user, port in graph.users.get(identity, []):
        kind = graph.layers[user].type
        if kind == "MatMul" or (kind == "Gather" and port == 0) or (kind == "Convolution" and port == 1 and graph.convolutions):
            yield user, port
        elif kind in _BETWEEN and port == 0 and _rest_is_constant(graph, user):
            yield from _uses(graph, user)


def _rest_is_constant(graph: _Graph, identity: str) -> bool:
    return all(_constant(graph, source) is not None for port, source in graph.inputs[identity].items() if port > 0)


def _constant(graph: _Graph, identity: str) -> _Layer | None:
    """This constant, or the one before this Convert; else None."""
    layer = graph.layers[identity]
    if layer.type == "Convert":
        return _constant(graph, graph.inputs[identity][0])
    return layer if layer.type == "Const" else None


def _weight(graph: _Graph, identity: str, uses: list[tuple[str, int]], *, is_last: bool) -> Weight:
    (first, port), layer = uses[0], graph.layers[identity]
    user = graph.layers[first]
    scale, symmetric, merged = _decompression(graph, identity)
    group = 0
    # A Linear's weight is stored (out, in) and transposed when used; the channel is what is summed over.
    across = user.type == "MatMul" and user.transposed[port] != (port == 1)
    channel = layer.shape[-2 if across else -1]
    if scale is not None:
        sizes = [stored for stored, kept in zip(layer.shape, scale.shape, strict=True) if kept == 1 and stored > 1]
        group = math.prod(sizes) if merged else -1
        channel = math.prod(layer.shape[-2:]) if merged else math.prod(sizes)
    return Weight(
        name=layer.name,
        users=tuple(graph.layers[use].name for use, _ in uses),
        kind=user.type,
        type=layer.element,
        count=math.prod(layer.shape),
        channel=channel,
        group_size=group,
        symmetric=symmetric,
        role=_role(graph, layer, first, is_last),
    )


def _role(graph: _Graph, layer: _Layer, first: str, is_last: bool) -> Role:
    user = graph.layers[first]
    if "lora" in layer.name.lower():
        return "adapter"
    if user.type == "Convolution":
        return "convolution"
    if user.type == "Gather":
        rows = graph.inputs[first].get(1)
        return "embedding" if rows is None or _constant(graph, rows) is None else "fixed"
    return "last" if is_last else "matmul"


def _decompression(graph: _Graph, identity: str) -> tuple[_Layer | None, bool, bool]:
    """Scale, whether it has no zero point, and whether groups are merged into channels again."""
    scale: _Layer | None = None
    symmetric, merged = True, False
    passed = {identity}
    while following := [user for user, port in graph.users.get(identity, []) if port == 0 and graph.layers[user].type in _BETWEEN]:
        identity = following[0]
        if identity in passed:
            raise NotAnIR("its layers lead to each other in a circle")
        passed.add(identity)
        kind = graph.layers[identity].type
        if kind == "Subtract":
            symmetric = False
        elif kind == "Multiply":
            scale = _constant(graph, graph.inputs[identity][1])
        elif kind == "Reshape" and scale is not None:
            merged = True
    return scale, symmetric, merged
