"""The edges in an OpenVINO model's XML, in the order in which OpenVINO writes them on Linux.

OpenVINO lists the edges by the layers and ports that they lead to, and sorts them with `std::sort` by the layer that they leave, and by
nothing else (`create_edge_mapping` in its sources). Where edges leave one layer, their order is what the C++ library's algorithm happens
to make: another with Microsoft's than with GNU's. So this is GNU's: quicksort with the median of three, heapsort where that goes too deep,
and parts of at most 16 left to a stable sort at the end.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_EDGE = re.compile(rb'<edge from-layer="(\d+)" from-port="(\d+)" to-layer="(\d+)" to-port="(\d+)" ?/>')
_EDGES = re.compile(rb"(?<=<edges>)(?:\s*<edge [^<>]*/>)+(?=\s*</edges>)")
_SMALL = 16


class Edge(NamedTuple):
    """An edge, by layers' numbers and ports."""

    from_layer: int
    from_port: int
    to_layer: int
    to_port: int


def as_on_linux(xml: bytes) -> bytes:
    """The same XML with the edges of the model, and of each model inside it, in the order of Linux."""
    return _EDGES.sub(lambda found: _ordered(found[0]), xml)


def _ordered(block: bytes) -> bytes:
    texts = {Edge(*map(int, found.groups())): found[0] for found in _EDGE.finditer(block)}
    ordered = iter(in_order(list(texts)))
    return _EDGE.sub(lambda _: texts[next(ordered)], block)


def in_order(edges: list[Edge]) -> list[Edge]:
    """What `std::sort` of GNU's library makes of edges that were sorted by where they lead to."""
    made = sorted(edges, key=lambda edge: (edge.to_layer, edge.to_port))
    _sort(made, 0, len(made), 2 * (len(made).bit_length() - 1))
    return sorted(made, key=lambda edge: edge.from_layer)


def _sort(edges: list[Edge], first: int, last: int, depth: int) -> None:
    """Sort roughly: what then still stands wrong is less than 16 places from where it belongs."""
    while last - first > _SMALL:
        if depth == 0:
            _heapsort(edges, first, last)
            return
        depth -= 1
        middle = _median(edges, first + 1, first + (last - first) // 2, last - 1)
        edges[first], edges[middle] = edges[middle], edges[first]
        cut = _partition(edges, first, last)
        _sort(edges, cut, last, depth)
        last = cut


def _median(edges: list[Edge], *places: int) -> int:
    """Which of three places has the middle one; of equal ones, the one that GNU's comparisons end at."""
    one, two, three = places
    a, b, c = (edges[place].from_layer for place in places)
    if a < b:
        return two if b < c else three if a < c else one
    return one if a < c else three if b < c else two


def _partition(edges: list[Edge], first: int, last: int) -> int:
    """Bring what belongs before the edge at `first` to the left, and what belongs after it to the right; where the right part begins."""
    pivot, left, right = edges[first].from_layer, first + 1, last
    while True:
        while edges[left].from_layer < pivot:
            left += 1
        right -= 1
        while pivot < edges[right].from_layer:
            right -= 1
        if left >= right:
            return left
        edges[left], edges[right] = edges[right], edges[left]
        left += 1


def _heapsort(edges: list[Edge], first: int, last: int) -> None:
    heap = edges[first:last]
    for hole in range(len(heap) // 2 - 1, -1, -1):
        _sink(heap, hole, len(heap), heap[hole])
    for end in range(len(heap) - 1, 0, -1):
        value, heap[end] = heap[end], heap[0]
        _sink(heap, 0, end, value)
    edges[first:last] = heap


def _sink(heap: list[Edge], top: int, size: int, value: Edge) -> None:
    """Put a value into the heap below `top`: down to a leaf by the larger children, and up again as far as it is larger."""
    hole = top
    while (child := 2 * hole + 2) <= size:
        if child == size or heap[child].from_layer < heap[child - 1].from_layer:
            child -= 1
        heap[hole] = heap[child]
        hole = child
    while hole > top and heap[(hole - 1) // 2].from_layer < value.from_layer:
        heap[hole] = heap[(hole - 1) // 2]
        hole = (hole - 1) // 2
    heap[hole] = value
