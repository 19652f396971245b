"""The XML of a model that is damaged is refused in words, also where its layers lead to each other in a circle."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakehouse.formats import openvino_ir

LAYERS = (
    '<layer id="0" name="w" type="Const"><data element_type="i8" shape="4,4" offset="0" size="16"/></layer>'
    '<layer id="1" name="c" type="Convert"/><layer id="2" name="s" type="Convert"/>'
    '<layer id="3" name="m" type="MatMul"><data transpose_a="false" transpose_b="true"/></layer>'
)


def written(folder: Path, layers: str, *edges: tuple[int, int, int]) -> Path:
    path = folder / "openvino_model.xml"
    lines = "".join(f'<edge from-layer="{one}" from-port="0" to-layer="{other}" to-port="{port}"/>' for one, other, port in edges)
    path.write_text(f'<?xml version="1.0"?><net><layers>{layers}</layers><edges>{lines}</edges></net>', encoding="utf-8")
    return path


def test_a_matrix_is_found_through_its_decompression(tmp_path: Path) -> None:
    (weight,) = openvino_ir.read(written(tmp_path, LAYERS, (0, 1, 0), (1, 3, 1))).weights
    assert (weight.name, weight.user, weight.count) == ("w", "m", 16)


@pytest.mark.parametrize(
    ("layers", "edges"),
    [
        (LAYERS, ((0, 1, 0), (1, 2, 0), (2, 1, 0))),
        (LAYERS, ((0, 3, 1), (0, 1, 0), (1, 2, 0), (2, 1, 0))),
        (LAYERS, ((0, 9, 0),)),
        (LAYERS.replace("transpose_a", "transposed"), ((0, 3, 1),)),
        (LAYERS.replace('"4,4"', '"4,x"'), ()),
        (LAYERS.replace('offset="0" ', ""), ()),
        (LAYERS + "</wrong>", ()),
    ],
    ids=["circle", "circle behind a use", "no such layer", "no transposition", "shape", "no offset", "not complete"],
)
def test_what_is_not_as_openvino_writes_it_is_an_error_of_its_own(
    layers: str, edges: tuple[tuple[int, int, int], ...], tmp_path: Path
) -> None:
    with pytest.raises(openvino_ir.NotAnIR):
        openvino_ir.read(written(tmp_path, layers, *edges))
