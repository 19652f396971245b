"""The numeric check finds what converters get wrong at some length or at all, and passes what they get right."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from bakehouse.tasks.text_generation import numeric_check as numeric
from bakehouse.tasks.text_generation.seams import Numeric
from tests.support import cases
from tests.support.bench import ROOT

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("onnxruntime_genai", "openvino", "openvino_npu")]

ENOUGH, SOME, LITTLE = 1e12, 1e9, 1e7
TRIED: tuple[tuple[str, str, float], ...] = (
    ("rope-dynamic", "optimum", ENOUGH),
    ("rope-dynamic", "openvino", ENOUGH),
    ("sliding-mistral", "openvino", ENOUGH),
    ("longrope64-long", "openvino", ENOUGH),
    ("three-layers", "openvino", LITTLE),
    ("phi3-2047", "openvino", SOME),
    ("phi3-2047", "openvino-without-window", SOME),
    ("sliding-mistral", "builder", ENOUGH),
    ("olmo", "builder", ENOUGH),
    ("rope-linear", "builder", ENOUGH),
    ("gemma2", "onnxruntime-genai", ENOUGH),
    ("longrope64-long", "onnxruntime-genai", ENOUGH),
    ("three-layers", "onnxruntime-genai", LITTLE),
    ("phi3-2047", "onnxruntime-genai", SOME),
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Numeric]:
    """What the check of each case and runtime measures."""
    out = tmp_path_factory.mktemp("numeric") / "found.json"
    fields = {"found": str(out), "cases": [[name, str(cases.folder(name)), runtime, budget] for name, runtime, budget in TRIED]}
    argv = [sys.executable, "-m", "tests.support.numeric_batch"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "GIT_DIR": os.devnull}
    done = subprocess.run(argv, input=json.dumps(fields), cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    measured = json.loads(out.read_text(encoding="utf-8"))
    return {(name, runtime): Numeric.model_validate(one) for (name, runtime, _), one in zip(TRIED, measured, strict=True)}


def faults(one: Numeric) -> tuple[str, ...]:
    return numeric.faults(one.runs, one.precision)


@pytest.mark.parametrize(
    ("name", "runtime", "begins"),
    [
        ("phi3-2047", "openvino-without-window", "its logits differ from the source's from 2,047 tokens on (sliding_window): mean KLD "),
        ("rope-dynamic", "optimum", "its logits differ from the source's from 64 tokens on (max_position_embeddings): mean KLD "),
        ("olmo", "builder", "it computes something else than the source: on 24 tokens mean KLD "),
        ("rope-linear", "builder", "it computes something else than the source: on 24 tokens mean KLD "),
        ("sliding-mistral", "builder", "its logits differ from the source's from 16 tokens on (sliding_window): mean KLD "),
    ],
)
def test_what_a_converter_gets_wrong_is_found_and_named(
    found: dict[tuple[str, str], Numeric], name: str, runtime: str, begins: str
) -> None:
    first = faults(found[name, runtime])[0]
    assert first.startswith(begins), first


def test_prompts_that_a_runtime_does_not_take_are_found_by_their_length(found: dict[tuple[str, str], Numeric]) -> None:
    error = faults(found["sliding-mistral", "builder"])[1]
    assert error.startswith("it does not run with 192 tokens: ")
    assert "total_sequence_length must equal past_sequence_length + kv_sequence_length" in error


@pytest.mark.parametrize(
    ("name", "runtime"),
    [
        ("rope-dynamic", "openvino"),
        ("sliding-mistral", "openvino"),
        ("longrope64-long", "openvino"),
        ("gemma2", "onnxruntime-genai"),
        ("longrope64-long", "onnxruntime-genai"),
        ("three-layers", "openvino"),
        ("phi3-2047", "openvino"),
        ("phi3-2047", "onnxruntime-genai"),
        ("three-layers", "onnxruntime-genai"),
    ],
)
def test_what_a_converter_gets_right_passes_with_a_wide_margin(found: dict[tuple[str, str], Numeric], name: str, runtime: str) -> None:
    one = found[name, runtime]
    assert faults(one) == ()
    summary = numeric.summary(one)
    assert summary.largest_kld < summary.tolerance_kld / 100
    assert summary.largest_difference < summary.tolerance_difference / 5


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime-genai"])
def test_a_model_over_the_budget_is_compared_by_its_first_layers(found: dict[tuple[str, str], Numeric], runtime: str) -> None:
    summary = numeric.summary(found["three-layers", runtime])
    assert (summary.layers, summary.of) == (1, 3)
    assert summary.whole_on == 24
    assert summary.not_checked
