"""The edges of an OpenVINO model come out in the order in which OpenVINO writes them on Linux, whatever order they were in."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.formats import ir_edges
from bakehouse.formats.ir_edges import Edge

# `std::sort` of the compiler's library, of edges by the layer that they leave: a line of layers in, a line of places out
SORT = """
#include <algorithm>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>
int main() {
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::vector<std::pair<int, int>> edges;
        for (int layer; words >> layer;) edges.push_back({layer, (int)edges.size()});
        std::sort(edges.begin(), edges.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
        for (const auto& edge : edges) std::cout << edge.second << " ";
        std::cout << "\\n";
    }
}
"""
LAYERS = 20


def _chosen(seed: int) -> list[int]:
    """Layers that edges leave: few or many of them, nearly in order as in a model, in order, or in an order that quicksort is slow for."""
    draw = random.Random(seed)
    size = draw.choice((1, 2, 15, 16, 17, 18, 40, 300, 2000))
    kinds = (
        lambda: [draw.randrange(size) for _ in range(size)],
        lambda: [draw.randrange(3) for _ in range(size)],
        lambda: [max(0, place - draw.choice((0, 1, 1, 2, place))) for place in range(size)],
        lambda: list(range(size)),
        lambda: [place if place % 2 else size - place for place in range(size)],
        lambda: [*range(size // 2), *range(size // 2, 0, -1)],
        lambda: _slow(size),
    )
    return kinds[seed % len(kinds)]()


def _slow(size: int) -> list[int]:
    """Pairs in an order that makes each median of three one of the least (Musser's), so that quicksort gives up and heapsort goes on."""
    half = size // 2
    places = range(1, half + 1)
    return [(place - 1 if place % 2 else place + half) // 2 for place in places] + list(places)


def _edges(layers: list[int]) -> list[Edge]:
    return [Edge(layer, 0, place, 0) for place, layer in enumerate(layers)]


def _xml(*blocks: str) -> bytes:
    return f"<net><layers>{''.join(blocks[1:])}</layers>{blocks[0]}<rt_info/></net>".encode()


def _block(edges: list[Edge], line_end: str = "\n\t\t") -> str:
    lines = (f'{line_end}<edge from-layer="{a}" from-port="{b}" to-layer="{c}" to-port="{d}" />' for a, b, c, d in edges)
    return f"<edges>{''.join(lines)}{line_end[:-1]}</edges>"


@pytest.mark.whole
@pytest.mark.skipif(shutil.which("g++") is None and not os.environ.get("BAKEHOUSE_TESTS_HAVE_CXX"), reason="there is no g++")
def test_the_order_is_that_of_the_library_of_gnu(tmp_path: Path) -> None:
    (tmp_path / "sort.cpp").write_text(SORT, encoding="utf-8")
    subprocess.run(["g++", "-O1", "-o", tmp_path / "sort", tmp_path / "sort.cpp"], check=True)
    given = [_chosen(seed) for seed in range(350)]
    lines = "".join(" ".join(map(str, layers)) + "\n" for layers in given)
    done = subprocess.run([tmp_path / "sort"], input=lines, capture_output=True, text=True, check=True)
    for layers, line in zip(given, done.stdout.splitlines(), strict=True):
        assert [edge.to_layer for edge in ir_edges.in_order(_edges(layers))] == [int(word) for word in line.split()], layers


def test_heapsort_goes_on_where_quicksort_gives_up() -> None:
    """The last of them come out of the heap, in an order that is not the one in which they came."""
    places = [edge.to_layer for edge in ir_edges.in_order(_edges(_slow(120)))]
    assert places[-24:] == snapshot(
        [108, 37, 39, 109, 41, 110, 43, 111, 45, 112, 47, 113, 114, 49, 51, 115, 53, 116, 117, 55, 118, 57, 59, 119]
    )


@pytest.mark.parametrize("line_end", ["\n\t\t", "\r\n\t\t", ""], ids=["as saved", "as saved on Windows", "one line"])
def test_each_model_in_a_model_has_its_edges_in_order_and_nothing_else_changes(line_end: str) -> None:
    outer, inner = ir_edges.in_order(_edges(_chosen(2))), ir_edges.in_order(_edges(_chosen(1)))
    ordered = _xml(_block(outer, line_end), _block(inner, line_end))
    assert ir_edges.as_on_linux(ordered) == ordered
    assert ir_edges.as_on_linux(_xml(_block(outer[::-1], line_end), _block(sorted(inner), line_end))) == ordered


@pytest.mark.parametrize("xml", [b"", b"<net/>", b"<edges></edges>", b"<edges><edge/></edges>", b"<back_edges><edge/></back_edges>"])
def test_what_has_no_edges_stays(xml: bytes) -> None:
    assert ir_edges.as_on_linux(xml) == xml


@pytest.mark.model
@pytest.mark.skipif(sys.platform != "linux", reason="it is about the order of Linux")
def test_openvino_itself_writes_that_order_on_linux(tmp_path: Path) -> None:
    import openvino as ov
    from openvino import opset13 as ops

    numbers, one = ops.parameter([4], ov.Type.f32), ops.constant([1.0, 2.0, 3.0, 4.0], ov.Type.f32)
    made = numbers
    for _ in range(LAYERS):
        parts = ops.split(ops.add(made, one), ops.constant(0), 4)
        made = ops.multiply(ops.concat([parts.output(place) for place in (3, 1, 0, 2)], 0), one)
    ov.save_model(ov.Model([made], [numbers], "many"), tmp_path / "many.xml")
    written = (tmp_path / "many.xml").read_bytes()
    edges = re.findall(rb"<edge [^>]*>", written)
    assert len(edges) > 5 * LAYERS and edges != sorted(edges)
    assert ir_edges.as_on_linux(written) == written
    shuffled = iter(random.Random(0).sample(edges, len(edges)))
    assert ir_edges.as_on_linux(re.sub(rb"<edge [^>]*>", lambda _: next(shuffled), written)) == written
