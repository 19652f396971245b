"""The Phi-3 stand-in from checkpoint to package: the same bytes as upstream's, and folders that both runtimes load and that answer."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.openvino import backend as openvino
from bakehouse.executor.process import Children, run
from bakehouse.formats import openvino_ir
from bakehouse.records import Fidelity
from bakehouse.tasks.text_generation import reference as references
from tests.support.fidelity_making import REFERENCE, measured, reference_of
from tests.support.openvino_making import CHECKPOINT, build, make, run_upstream, sha256, steps
from tests.support.standin import QUESTION
from tests.support.worker import to_generate

pytestmark = [pytest.mark.model, pytest.mark.conformance]  # test_bytes.py and the shipped recipe's test have most of it in `make test`

BUILDS: dict[str, dict[str, Any]] = {
    "int4": {"weights": "int4", "symmetric": True, "group_size": 128, "ratio": 0.6},
    "int8": {"weights": "int8"},
    "fp16": {"weights": "fp16"},
}
PROMPTS: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": QUESTION}], "max_new_tokens": 32},
    {"raw": "The capital of Germany is", "max_new_tokens": 6},
]


@pytest.fixture(scope="module")
def packages(phi3_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model folder for each of BUILDS, from one export and one tokenizer, all verified."""
    folder = tmp_path_factory.mktemp("phi3")
    shared = steps(**BUILDS["int4"])
    export = make(shared["config"], folder / "export", checkpoint=phi3_checkpoint)
    tokenizer = make(shared["tokenizer"], folder / "tokenizer", checkpoint=phi3_checkpoint)
    assert (*export.verification.faults, *tokenizer.verification.faults) == ()
    made = {}
    for name, quantization in BUILDS.items():
        model = make(steps(**quantization)["model"], folder / name, export=export.files)
        assert model.verification.faults == ()
        made[name] = folder / "packages" / name
        made[name].mkdir(parents=True)
        parts = {"model": model.files, "tokenizer": tokenizer.files, "config": export.files, "checkpoint": phi3_checkpoint}
        for path, file in openvino.layout(build(**quantization), parts).items():
            shutil.copyfile(file, made[name] / path)
    return made


def answers(package: Path, folder: Path) -> list[dict[str, Any]]:
    """What the package says to PROMPTS in openvino_genai."""
    folder.mkdir(exist_ok=True)
    command = openvino.generate(build(**BUILDS["int4"]), {}, to_generate(package, PROMPTS, folder))
    run(command, children=Children(), log=folder / "log.txt", scratch=folder / "scratch", on_progress=lambda progress: None)
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_weights_are_upstreams_bytes(packages: dict[str, Path], phi3_checkpoint: Path, tmp_path: Path) -> None:
    run_upstream(phi3_checkpoint, {tmp_path / "upstream": BUILDS["int4"]})
    assert sha256(packages["int4"] / "openvino_model.bin") == sha256(tmp_path / "upstream" / "openvino_model.bin")
    assert {path.name for path in packages["int4"].iterdir()} == {path.name for path in (tmp_path / "upstream").iterdir()}


def test_the_ratio_is_reached_to_within_one_layer(packages: dict[str, Path]) -> None:
    model = openvino_ir.read(packages["int4"] / "openvino_model.xml")
    four = sum(weight.count for weight in model.weights if weight.type == "i4")
    assert 0.58 < four / sum(weight.count for weight in model.weights if weight.role == "matmul") < 0.6


@pytest.mark.parametrize("name", BUILDS)
def test_the_package_answers_in_openvino_genai(name: str, packages: dict[str, Path], tmp_path: Path) -> None:
    first, second = answers(packages[name], tmp_path / "run")
    assert "Paris" in first["text"]
    assert first["ended"] and first["tokens"][-1] == 2
    assert "Berlin" in second["text"]
    assert not second["ended"] and len(second["tokens"]) == 6


def test_both_runtimes_see_the_same_prompt_and_fp16_answers_as_the_checkpoint_does(
    packages: dict[str, Path], phi3_checkpoint: Path, tmp_path: Path
) -> None:
    files = tmp_path / "reference"
    step = references.step("phi3", CHECKPOINT, to_generate(files, PROMPTS, files).prompts)
    files.mkdir()
    command = references.command(step, {"checkpoint": phi3_checkpoint}, files)
    finished = run(command, children=Children(), log=tmp_path / "log.txt", scratch=tmp_path / "scratch", on_progress=lambda progress: None)
    assert references.verify(step, {}, files, finished.report).faults == ()
    assert finished.report.values["dtype"] == "float32"
    expected = [json.loads(line) for line in (files / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    got = answers(packages["fp16"], tmp_path / "run")
    for name in ("prompt_ids", "tokens", "text", "ended"):
        assert [line[name] for line in got] == [line[name] for line in expected]


def test_every_package_answers_in_optimum_intel(packages: dict[str, Path]) -> None:
    program = """
import sys
from optimum.intel import OVModelForCausalLM
from optimum.intel.openvino.configuration import OVConfig
from transformers import AutoTokenizer
for folder in sys.argv[2:]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = OVModelForCausalLM.from_pretrained(folder)
    chat = [{"role": "user", "content": sys.argv[1]}]
    inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    made = model.generate(**inputs, max_new_tokens=32, do_sample=False)
    assert "Paris" in tokenizer.decode(made[0, inputs["input_ids"].shape[1] :]), folder
    print("read", OVConfig.from_pretrained(folder).dtype)
"""
    argv = [sys.executable, "-c", program, QUESTION, *(str(package) for package in packages.values())]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("read ")] == list(BUILDS)


@pytest.fixture(scope="module")
def fidelities(packages: dict[str, Path], phi3_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fidelity]:
    """What is measured of each build; of int4 twice."""
    known, folder = reference_of(phi3_checkpoint), tmp_path_factory.mktemp("fidelity")

    def of(name: str, to: str) -> Fidelity:
        quantization = BUILDS[name]
        step = openvino.fidelity("model-build", build(**quantization), steps(**quantization), REFERENCE)
        assert step is not None
        (folder / to).mkdir()
        return measured(openvino.command(step, {"model": packages[name], "reference": known}, folder / to), folder / to)

    return {name: of(name, name) for name in BUILDS} | {"again": of("int4", "again")}


def test_fidelity_ranks_the_builds_and_finds_no_difference_in_full_precision(fidelities: dict[str, Fidelity]) -> None:
    fp16, int8, int4 = (fidelities[name].figures for name in ("fp16", "int8", "int4"))
    assert fp16.kl_mean.high < 1e-4
    assert fp16.top1.value > 0.99
    assert fp16.kl_mean.high < int8.kl_mean.low < int8.kl_mean.high < int4.kl_mean.low
    assert int8.top1.value > int4.top1.value
    assert list(fidelities["int4"].sets) == ["prose", "technical", "code", "languages", "answers"]


def test_fidelity_measured_twice_is_the_same_bit_for_bit(fidelities: dict[str, Fidelity]) -> None:
    assert fidelities["int4"] == fidelities["again"]


def test_what_users_run_is_measured_too(fidelities: dict[str, Fidelity]) -> None:
    used = fidelities["int4"].in_use
    assert used is not None
    assert used.runtime_options == {}
    assert used.figures.positions == fidelities["int4"].figures.positions
    assert used.figures.kl_mean.value != fidelities["int4"].figures.kl_mean.value
