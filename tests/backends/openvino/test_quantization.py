"""Every rule about combinations of quantization options, compared with NNCF itself: what we refuse it refuses, fails at, or ignores."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.openvino import quantization

PROGRAM = Path(__file__).parents[2] / "support" / "nncf_options.py"
Told = dict[str, Any]
BASE: Told = {"mode": "int4_sym", "group_size": 32}
NF4: Told = {"mode": "nf4", "group_size": 32}
DATA: Told = {"calibration": True}

# What NNCF raises for options that a recipe cannot combine.
RAISES: dict[str, tuple[Told, str]] = {
    "int8 and ratio": ({"mode": "int8_asym", "ratio": 0.6}, "ParameterNotSupportedError"),
    "int8 and group_size": ({"mode": "int8_asym", "group_size": 128}, "ParameterNotSupportedError"),
    "int8 and all_layers": ({"mode": "int8_asym", "all_layers": True}, "ParameterNotSupportedError"),
    "int8 and backup_precision": ({"mode": "int8_asym", "backup_mode": "int8_sym"}, "ParameterNotSupportedError"),
    "int8 and sensitivity_metric": ({"mode": "int8_asym", "sensitivity_metric": "max_activation_variance"}, "ParameterNotSupportedError"),
    "int8 and a calibration": ({"mode": "int8_asym", **DATA}, "ParameterNotSupportedError"),
    "int8 and awq": ({"mode": "int8_asym", "awq": True}, "ParameterNotSupportedError"),
    "int8 and gptq": ({"mode": "int8_asym", "gptq": True, **DATA}, "ParameterNotSupportedError"),
    "a metric without the data it needs": ({**BASE, "ratio": 0.6, "sensitivity_metric": "max_activation_variance"}, "ValidationError"),
    "scale_estimation without data": ({**BASE, "scale_estimation": True}, "ParameterNotSupportedError"),
    "gptq without data": ({**BASE, "gptq": True}, "ParameterNotSupportedError"),
    "lora_correction without data": ({**BASE, "lora_correction": True}, "ParameterNotSupportedError"),
    "lora_correction and gptq": ({**BASE, "lora_correction": True, "gptq": True, **DATA}, "ParameterNotSupportedError"),
    "lora_correction and all_layers": ({**BASE, "lora_correction": True, "all_layers": True, **DATA}, "KeyError"),
    "mxfp4 and group_size": ({"mode": "mxfp4", "group_size": 64}, "ValidationError"),
    "mxfp4 and adjusted groups": ({"mode": "mxfp4", "group_size_fallback": "adjust"}, "ValidationError"),
    "mxfp4 and awq": ({"mode": "mxfp4", "awq": True}, "ParameterNotSupportedError"),
    "mxfp4 and scale_estimation": ({"mode": "mxfp4", "scale_estimation": True, **DATA}, "ParameterNotSupportedError"),
    "a group of less than none": ({**BASE, "group_size": -2}, "ValidationError"),
    "a group that does not divide": ({**BASE, "group_size": 48}, "InvalidGroupSizeError"),
}

# Two sets of options that give the same bytes: the second has what a recipe is refused for, because it changes nothing.
IGNORED: dict[str, tuple[Told, Told]] = {
    "a metric with ratio 1.0": (
        {**BASE, "awq": True, **DATA},
        {**BASE, "awq": True, **DATA, "sensitivity_metric": "mean_activation_variance"},
    ),
    "a calibration that nothing looks at": (BASE, {**BASE, **DATA}),
    "a calibration with a metric that needs no data": (
        {**BASE, "ratio": 0.6},
        {**BASE, "ratio": 0.6, "sensitivity_metric": "weight_quantization_error", **DATA},
    ),
    "a backup precision that nothing gets": ({**BASE, "all_layers": True}, {**BASE, "all_layers": True, "backup_mode": "int8_sym"}),
    "a fallback of the whole channel": ({**BASE, "group_size": -1}, {**BASE, "group_size": -1, "group_size_fallback": "adjust"}),
    "scale_estimation within gptq on nf4": ({**NF4, "gptq": True, **DATA}, {**NF4, "gptq": True, "scale_estimation": True, **DATA}),
}

# The same options where a recipe may have them, because they do change something: so the comparison above can tell.
USED: dict[str, tuple[Told, Told]] = {
    "a backup precision": (BASE, {**BASE, "backup_mode": "int8_sym"}),
    "ratio": (BASE, {**BASE, "ratio": 0.6}),
    "a fallback that is needed": (
        {**BASE, "group_size": 48, "group_size_fallback": "ignore"},
        {**BASE, "group_size": 48, "group_size_fallback": "adjust"},
    ),
    "scale_estimation within gptq on int4": ({**BASE, "gptq": True, **DATA}, {**BASE, "gptq": True, "scale_estimation": True, **DATA}),
    "scale_estimation on nf4": (NF4, {**NF4, "scale_estimation": True, **DATA}),
    "lora_correction on nf4": (NF4, {**NF4, "lora_correction": True, **DATA}),
}

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """What NNCF makes of each set of options: a hash of the constants, or the error's type. In one child, for its slow import."""
    asked = [given for given, _ in RAISES.values()] + [given for pair in (*IGNORED.values(), *USED.values()) for given in pair]
    child = subprocess.run([sys.executable, PROGRAM], input=json.dumps(asked), capture_output=True, text=True, check=True)
    answers = json.loads(child.stdout.splitlines()[-1])
    return {json.dumps(given): answer for given, answer in zip(asked, answers, strict=True)}


@pytest.mark.parametrize(("given", "error"), RAISES.values(), ids=RAISES.keys())
def test_nncf_cannot_do_what_a_recipe_is_refused_for(given: Told, error: str, made: dict[str, str]) -> None:
    assert made[json.dumps(given)] == error


@pytest.mark.parametrize(("without", "given"), IGNORED.values(), ids=IGNORED.keys())
def test_nncf_ignores_what_a_recipe_is_refused_for(without: Told, given: Told, made: dict[str, str]) -> None:
    assert len(made[json.dumps(given)]) == 64
    assert made[json.dumps(given)] == made[json.dumps(without)]


@pytest.mark.parametrize(("one", "other"), USED.values(), ids=USED.keys())
def test_nncf_heeds_what_a_recipe_may_ask(one: Told, other: Told, made: dict[str, str]) -> None:
    assert len(made[json.dumps(one)]) == len(made[json.dumps(other)]) == 64
    assert made[json.dumps(one)] != made[json.dumps(other)]


def test_nncf_compresses_the_weights_of_the_types_that_an_ignored_scope_may_name() -> None:
    program = """
from nncf.quantization.algorithms.weight_compression.openvino_backend import OVWeightCompressionAlgoBackend as Backend
here = Backend.__new__(Backend)
kinds = [*here.matmul_metatypes, *here.convolution_metatypes, *here.embedding_metatypes]
print(*{name for kind in kinds for name in kind.op_names or ["Gather"]})
"""
    known = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert set(known) == set(quantization.WITH_WEIGHTS)


def test_only_rotary_tables_are_left_out_by_themselves_where_no_group_fits() -> None:
    from bakehouse.backends.openvino.workers import compress as openvino_compress

    table, layer = ('"model.rotary_emb/MatMul" (channel size: 1)', '"model.layers.0/MatMul" (channel size: 96)')
    assert openvino_compress.rotary(f"Failed nodes:\n{table}") == ["model.rotary_emb/MatMul"]
    assert openvino_compress.rotary(f"Failed nodes:\n{table}\n{layer}") == []
