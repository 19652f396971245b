"""Layers that a recipe keeps in 8 bits: the model has the bytes that a ratio makes which happens to keep the same layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.openvino.verify import precision
from bakehouse.formats import openvino_ir
from tests.support.openvino_making import Made, make, sha256, steps

pytestmark = pytest.mark.model

INT4: dict[str, Any] = {"weights": "int4", "group_size": 64}
RATIO = 0.6


@pytest.fixture(scope="module")
def export(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make(steps(**INT4)["config"], tmp_path_factory.mktemp("export"), checkpoint=tiny_checkpoint)
    return made.files


@pytest.fixture(scope="module")
def ranked(export: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The model whose layers NNCF chose by its own metric."""
    return make(steps(**INT4, ratio=RATIO)["model"], tmp_path_factory.mktemp("ranked"), export=export)


def kept(made: Made) -> tuple[str, ...]:
    """The inner layers without 4 bits."""
    weights = openvino_ir.read(made.files / "openvino_model.xml").weights
    return tuple(weight.user for weight in weights if weight.role == "matmul" and precision(weight) == "int8_asym")


def test_the_layers_that_a_ratio_keeps_make_the_same_bytes_by_name(ranked: Made, export: Path, tmp_path: Path) -> None:
    names = kept(ranked)
    assert names
    named = make(steps(**INT4, backup_scope={"names": names})["model"], tmp_path, export=export)
    assert named.verification.faults == ()
    assert kept(named) == names
    assert sha256(named.files / "openvino_model.bin") == sha256(ranked.files / "openvino_model.bin")


def test_a_pattern_keeps_layers_beside_those_that_the_ratio_keeps(ranked: Made, export: Path, tmp_path: Path) -> None:
    names = kept(ranked)
    made = make(steps(**INT4, ratio=RATIO, backup_scope={"patterns": (".*down_proj.*",)})["model"], tmp_path, export=export)
    assert made.verification.faults == ()
    found = kept(made)
    assert {name for name in found if "down_proj" in name} and [name for name in found if "down_proj" not in name]
    assert found != names


def test_a_name_of_a_layer_that_has_8_bits_anyway_is_a_fault(export: Path, tmp_path: Path) -> None:
    last = next(weight.user for weight in openvino_ir.read(export / "openvino_model.xml").weights if weight.role == "last")
    made = make(steps(**INT4, backup_scope={"names": (last,)})["model"], tmp_path, export=export)
    assert made.verification.faults == (f"'{last}' in names of backup_scope matches no weight that could have had 4 bits without it",)
