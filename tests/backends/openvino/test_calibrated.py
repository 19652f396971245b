"""The data-aware methods on a tiny model, with texts from a local file: each is carried out, each changes the weights, twice the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakehouse.recipe.calibration import CalibrationFile
from bakehouse.sources import calibration, local
from tests.support import sampling, worker
from tests.support.openvino_making import Made, make, sha256, steps

pytestmark = pytest.mark.model

TEXTS = ["What is the capital of France?", "The capital of France is Paris.", "Bread is baked in an oven.", "One, two, three, four."]
BASE: dict[str, Any] = {"weights": "int4", "group_size": 64, "calibration": {"type": "file", "path": "texts.txt", "num_samples": 4}}
METHODS: dict[str, dict[str, Any]] = {
    "awq": {"awq": True},
    "scale_estimation": {"scale_estimation": True},
    "gptq": {"gptq": True},
    "lora_correction": {"lora_correction": True},
    "mean_activation_variance": {"ratio": 0.5, "sensitivity_metric": "mean_activation_variance"},
    "fewer texts": {"scale_estimation": True, "calibration": {**BASE["calibration"], "num_samples": 1}},
}
SAMPLED = ("awq", "gptq")


@pytest.fixture(scope="module")
def made(request: pytest.FixtureRequest, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """The model by every method, one of them twice, from one export; "plain" without any."""
    folder = tmp_path_factory.mktemp("calibrated")
    (folder / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    source = CalibrationFile(type="file", path="texts.txt")
    fingerprint = local.fingerprint(folder / "texts.txt", folder / "cache.json")
    texts, samples = calibration.samples(source, "tiny", local.Content(folder / "texts.txt", fingerprint)), folder / "samples"
    samples.mkdir()
    assert worker.run(calibration.command(texts, {}, samples)).code == 0
    shared = steps(weights="int4", group_size=64)
    export = make(shared["config"], folder / "export", checkpoint=tiny_checkpoint).files
    tokenizer = make(shared["tokenizer"], folder / "tokenizer", checkpoint=tiny_checkpoint).files
    models = {"plain": make(shared["model"], folder / "plain", export=export)}
    for name in (*sampling.made(request, METHODS, SAMPLED), "gptq again"):
        step = steps(texts, **{**BASE, **METHODS[name.removesuffix(" again")]})["model"]
        models[name] = make(step, folder / name, export=export, calibration=samples, tokenizer=tokenizer)
    return models


@pytest.mark.parametrize("name", sampling.cases(METHODS, SAMPLED))
def test_a_method_is_carried_out_as_requested(made: dict[str, Made], name: str) -> None:
    assert made[name].verification.faults == ()


def test_every_method_makes_weights_of_its_own(made: dict[str, Made]) -> None:
    digests = {name: sha256(model.files / "openvino_model.bin") for name, model in made.items() if name != "gptq again"}
    assert len(set(digests.values())) == len(digests), digests


def test_the_same_texts_make_the_same_bytes(made: dict[str, Made]) -> None:
    one, other = (sha256(made[name].files / "openvino_model.bin") for name in ("gptq", "gptq again"))
    assert one == other
