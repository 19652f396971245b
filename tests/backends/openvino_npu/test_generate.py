"""What the NPU pipeline runs on and with which settings, decided from what OpenVINO says of the machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.openvino_npu.workers import generate as npu_generate
from bakehouse.tasks.text_generation.workers.answers import Prompt


class Core:
    """OpenVINO on a machine with these devices, its NPU of platform 4000."""

    def __init__(self, *devices: str) -> None:
        self.available_devices = devices

    def get_property(self, device: str, name: str) -> str:
        return {"FULL_DEVICE_NAME": f"Some {device} ", "DEVICE_ARCHITECTURE": "4000"}[name]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with a blob for 4000, weightless."""
    folder = tmp_path / "npu" / "4000"
    folder.mkdir(parents=True)
    (folder / "openvino_model.json").write_text(json.dumps({"cache_mode": "OPTIMIZE_SIZE"}), encoding="utf-8")
    return tmp_path


def test_an_npu_runs_its_own_blob_and_the_others_are_named(package: Path) -> None:
    chosen = npu_generate.choose(Core("CPU", "NPU"), package, [3720, 4000, 5010])
    assert (chosen.name, chosen.not_run, chosen.stand_in) == ("Some NPU, platform 4000, from its blob", (3720, 5010), False)
    assert chosen.settings == {}
    assert chosen.files == {
        "BLOB_PATH": str(package / "npu/4000/openvino_model.blob"),
        "WEIGHTS_PATH": str(package / "openvino_model.bin"),
    }


def test_an_npu_without_a_blob_of_its_own_compiles_and_no_blob_was_run(package: Path) -> None:
    chosen = npu_generate.choose(Core("CPU", "NPU"), package, [3720])
    assert (chosen.name, chosen.not_run, chosen.files) == ("Some NPU, platform 4000, compiled here", (3720,), {})


def test_without_an_npu_its_graphs_run_on_the_cpu_in_the_models_own_precision(package: Path) -> None:
    chosen = npu_generate.choose(Core("CPU"), package, [4000])
    assert chosen.settings == {"NPU_USE_NPUW": "YES", "NPUW_DEVICES": "CPU", "EXECUTION_MODE_HINT": "ACCURACY"}
    assert chosen.name == snapshot("Some CPU, running the NPU pipeline's graphs; blobs were compiled and not executed")
    assert (chosen.not_run, chosen.stand_in) == ((4000,), True)


def test_answers_longer_than_the_room_behind_their_prompts_are_refused_with_numbers(capfd: pytest.CaptureFixture[str]) -> None:
    prompts = [Prompt(raw="a", max_new_tokens=91), Prompt(raw="b", max_new_tokens=512)]
    npu_generate.check_lengths([37], prompts[:1], 64, 128)
    with pytest.raises(SystemExit):
        npu_generate.check_lengths([37, 37], prompts, 64, 128)
    text = capfd.readouterr().out
    assert "The graphs have room for 128 tokens of prompt and answer together." in text
    assert '"details": ["golden prompt 2 has 37 tokens and max_new_tokens 512: 549 together"]' in text


def test_a_model_whose_layers_cannot_be_folded_is_refused_with_a_sentence_that_says_so() -> None:
    folding = RuntimeError("Exception from src/core/src/model.cpp:\nModel references undeclared parameters: opset1::Parameter")
    assert npu_generate.why_not_loaded(folding) == snapshot(
        (
            "The NPU pipeline cannot fold this model's layers into one: it has too few of them, or they are of several kinds.",
            "Take a model of eight equal layers or more, or build it for the runtime openvino.",
        )
    )
    assert npu_generate.why_not_loaded(RuntimeError("Argument shapes are inconsistent.")) == npu_generate.CANNOT_LOAD
