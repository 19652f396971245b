"""A build for ONNX Runtime names a precision; options of other runtimes are refused with the reason, and it writes no text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bakehouse.backends.onnxruntime import backend
from bakehouse.backends.onnxruntime.options import OnnxRuntime
from bakehouse.errors import Failure
from bakehouse.formats.checkpoint import Survey
from bakehouse.steps.seam import Report
from bakehouse.tasks.base import Trial
from bakehouse.tasks.embeddings.golden import Search
from bakehouse.tasks.embeddings.seams import VECTORS, EmbedRequest, Vectors
from bakehouse.tasks.seams import RunResult
from bakehouse.tasks.table import TASKS
from tests.recipe.test_tasks import errors
from tests.support.bench import recipe

pytestmark = pytest.mark.needs_backend("onnxruntime")
GOLDEN = {"query": "bread", "texts": ["dough", "train"], "closest": "dough"}


def build(weights: str = "int8", **others: Any) -> OnnxRuntime:
    found = {"runtime": "onnxruntime", "quantization": {"weights": weights}, **others}
    return OnnxRuntime.model_validate_json(json.dumps(found))


@pytest.mark.parametrize(
    ("weights", "graph"), [("fp32", "onnx/model.onnx"), ("fp16", "onnx/model_fp16.onnx"), ("int8", "onnx/model_quantized.onnx")]
)
def test_a_graph_has_the_name_that_transformers_js_looks_for(weights: str, graph: str) -> None:
    assert build(weights).graph() == graph


@pytest.mark.parametrize(("options", "said"), [({}, True), ({"reduce_range": True}, False)])
def test_what_to_do_about_vectors_in_8_bits_names_processors_that_cut_off_sums(options: dict[str, Any], said: bool, tmp_path: Path) -> None:
    for folder, train in (("found", -1.0), ("source", 1.0)):
        (tmp_path / folder).mkdir()
        found = ((1.0, 0.0), (1.0, 0.0), (0.0, train))
        (tmp_path / folder / VECTORS).write_text(Vectors(vectors=found, in_use=found).model_dump_json(), encoding="utf-8")
    result = RunResult(device="CPU", device_name="any", load_s=1, runtime_options={})
    trial = Trial(
        golden=(Search(query="bread", texts=("dough", "train"), closest="dough"),),
        options=build(quantization={"weights": "int8", **options}),
        files=tmp_path / "found",
        report=Report(result.model_dump(mode="json")),
        peak_memory_bytes=1,
        reference=tmp_path / "source",
        of_reference={"pooling": {"mode": "mean", "normalize": True}},
        measured=(),
    )
    _, verified = TASKS["embeddings"].judge(trial)
    assert verified.faults == ("'bread': a vector has cosine -1.0000 to the source's, should be 0.99 or more",)
    assert ("without VNNI" in verified.remedy) is said


@pytest.mark.parametrize(
    ("quantization", "said"),
    [
        ({"weights": "fp16", "reduce_range": True}, "Weights in floating point are not quantized; reduce_range does not apply."),
        ({"weights": "int8", "group_size": 32}, "group_size does not apply"),
        ({"weights": "int4"}, "int4"),
    ],
)
def test_options_that_would_have_no_effect_are_refused(quantization: dict[str, Any], said: str, tmp_path: Path) -> None:
    builds = {"a": {"runtime": "onnxruntime", "quantization": quantization}}
    assert said in errors(tmp_path, recipe(task="embeddings", golden=[GOLDEN], builds=builds))


def test_models_that_write_text_are_refused_in_builds_and_searches(tmp_path: Path) -> None:
    builds = {"a": {"runtime": "onnxruntime", "quantization": {"weights": "int8"}}}
    assert "onnxruntime makes no models for text-generation here." in errors(tmp_path, recipe(builds=builds))
    with pytest.raises(ValidationError):
        build(min_agreement=3)


def test_a_model_type_that_was_not_measured_is_refused_unless_it_is_tried() -> None:
    survey = Survey(config={"model_type": "gpt2"}, tensors=(), download_bytes=0)
    (reason,) = backend.preflight(build(), survey, task="embeddings")
    assert reason.startswith("no ONNX graph of models of type gpt2 for embeddings has been shown to work")
    assert backend.preflight(build(unknown_architecture="try"), survey, task="embeddings") == ()


def test_only_the_cpu_is_run_on(tmp_path: Path) -> None:
    request = EmbedRequest(model=tmp_path, texts=("a",), vectors=tmp_path / "v.json", device="GPU")
    with pytest.raises(Failure, match="are run on the CPU here, not on a GPU"):
        backend.generate(build(), {}, request)
