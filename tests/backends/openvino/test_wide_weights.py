"""Weights that upstream exports in 32 bits are right where their values are the checkpoint's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bakehouse.backends.openvino import artifacts
from bakehouse.backends.openvino import preflight as openvino_fit
from bakehouse.backends.openvino.seams import ExportResult
from bakehouse.formats.checkpoint import Survey, Tensor
from bakehouse.formats.openvino_ir import Model, Weight
from tests.support.openvino_making import steps


def weight(name: str, kind: str) -> Weight:
    return Weight(name, (f"{name}/MatMul",), "MatMul", kind, 64, 8, 0, True, "matmul")


def faults(tmp_path: Path, *weights: Weight, exact_f32: tuple[str, ...] = ()) -> tuple[tuple[str, ...], Any]:
    (tmp_path / "config.json").write_text(json.dumps({"dtype": "bfloat16"}))
    result = ExportResult(parameters=1, dtype="bfloat16", exact_f32=exact_f32)
    found = artifacts._verify_export(artifacts.MODEL, Model(weights, 0, {}), tmp_path, result)
    return found.faults, found.measured.get("exported_as_f32")


def test_a_wider_weight_with_the_checkpoints_values_is_right_and_recorded(tmp_path: Path) -> None:
    both = (weight("a", "bf16"), weight("experts", "f32"))
    assert faults(tmp_path, *both, exact_f32=("experts",)) == ((), ["experts/MatMul"])
    assert faults(tmp_path, weight("a", "bf16")) == ((), None)


def test_a_wider_weight_with_other_values_is_a_fault(tmp_path: Path) -> None:
    said = ("the weight of experts/MatMul is f32, should be bf16 as in the checkpoint",)
    assert faults(tmp_path, weight("experts", "f32"), exact_f32=("another",)) == (said, None)
    assert faults(tmp_path, weight("experts", "f16"), exact_f32=("experts",))[0] == (said[0].replace("f32", "f16"),)


@pytest.mark.parametrize(
    ("precision", "kept", "changed"),
    [("bfloat16", [1.0, -0.0, 1.0078125, 3e38, np.inf], 1.00390625), ("float16", [1.0, -0.0, 1.0009765625, 65504.0], 70000.0)],
)
def test_a_number_that_16_bits_cannot_hold_is_seen(precision: str, kept: list[float], changed: float) -> None:
    from bakehouse.backends.openvino.workers import exact as openvino_exact

    numbers = np.array(kept, np.float32)
    numbers[3] = np.float32(numbers[3]) if precision == "float16" else (np.array([numbers[3]], "f").view("u4") & 0xFFFF0000).view("f")[0]
    assert openvino_exact.exact(numbers, precision)
    assert not openvino_exact.exact(np.append(numbers, np.float32(changed)), precision)


def test_an_export_in_32_bits_is_estimated_as_such() -> None:
    tensors = (Tensor(name="a", dtype="BF16", shape=(1000, 1000)),)
    sizes = {
        kind: openvino_fit.estimate(
            steps(weights="int8")["config"], Survey(download_bytes=0, config={"model_type": kind}, tensors=tensors)
        ).disk_bytes
        for kind in ("llama", "mixtral")
    }
    assert sizes == {"llama": 2_000_000, "mixtral": 4_000_000}


def test_numbers_that_the_checkpoint_has_less_often_are_not_its_own() -> None:
    from bakehouse.backends.openvino.workers import exact as openvino_exact

    numbers = np.array([[1.0, 2.0], [2.0, 0.5]], np.float32)
    parts = [(one.reshape(-1).view(np.uint32) >> 16).astype(np.uint16) for one in (numbers, np.array([3.0], np.float32))]
    present = openvino_exact.counts(iter(parts))
    assert openvino_exact.is_source(numbers.T, "bfloat16", present, [])
    assert not openvino_exact.is_source(np.array([[0.5, 0.5]], np.float32), "bfloat16", present, [])  # what lies in freed memory
    computed = np.array([[0.1, 0.2]], np.float32)
    assert not openvino_exact.is_source(computed, "bfloat16", present, [])
    assert openvino_exact.is_source(computed, "bfloat16", present, [computed.copy()])
