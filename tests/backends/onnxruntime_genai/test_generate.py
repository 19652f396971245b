"""Where a model runs: on DirectML where that is, shown by a stand-in for Windows' runtime; on the CPU where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bakehouse.backends.onnxruntime_genai import backend as ort_genai
from bakehouse.backends.onnxruntime_genai import genai_config
from bakehouse.backends.onnxruntime_genai.workers import generate as ort_generate
from bakehouse.tasks.text_generation.seams import GenerateResult
from tests.support.ort_making import build
from tests.support.worker import ROOT, Said, run, to_generate

FAKE = ROOT / "tests/support/fake_windows"


def generate(provider: str, folder: Path, context: int = 512) -> Said:
    """Run the worker on a model folder of nothing but a configuration."""
    one = build(provider, weights="int4")
    model = folder / ort_genai.folder(one)
    model.mkdir(parents=True)
    options = [] if provider == "cpu" else [{provider: {}}]
    decoder = {"session_options": {"provider_options": options}, "filename": "model.onnx"}
    (model / "genai_config.json").write_text(json.dumps({"model": {"context_length": context, "decoder": decoder}}), encoding="utf-8")
    prompt = {"messages": [{"role": "user", "content": "say ok"}], "max_new_tokens": 4}
    command = ort_genai.generate(one, {}, to_generate(folder, [prompt], folder))
    return run(command, env={"PYTHONPATH": f"{FAKE}:{ROOT}/pipeline"})


def test_a_directml_model_runs_on_directml_where_that_is(tmp_path: Path) -> None:
    ended = generate("dml", tmp_path)
    assert ended.code == 0, ended.text
    found = ended.report.read(GenerateResult)
    assert (found.device, found.device_name) == ("DirectML", "the first DML device")
    assert not found.stand_in
    (line,) = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert {name: json.loads(line)[name] for name in ("tokens", "text", "ended", "prompt_tokens")} == {
        "tokens": [7, 2],
        "text": "ok",
        "ended": True,
        "prompt_tokens": 2,
    }


@pytest.mark.parametrize(("provider", "why"), [("cuda", "cuda is not in this build"), ("webgpu", "webgpu is not in this build")])
def test_a_model_for_a_provider_that_is_not_here_runs_on_the_cpu_and_says_so(provider: str, why: str, tmp_path: Path) -> None:
    ended = generate(provider, tmp_path)
    assert ended.code == 0, ended.text
    found = ended.report.read(GenerateResult)
    assert (found.device, found.stand_in, found.why_not_there) == ("CPU", True, why)


def test_a_cpu_model_stands_in_for_nothing(tmp_path: Path) -> None:
    ended = generate("cpu", tmp_path)
    assert ended.code == 0, ended.text
    found = ended.report.read(GenerateResult)
    assert (found.device, found.stand_in) == ("CPU", False)


def test_a_prompt_that_does_not_fit_in_with_its_answer_is_refused_before_any_is_answered(tmp_path: Path) -> None:
    assert generate("dml", tmp_path / "fits", context=6).code == 0
    ended = generate("dml", tmp_path / "over", context=5)
    assert (ended.code, ended.refusal) == (
        3,
        "The model's context has 5 tokens, and not all golden prompts fit in with their answers.\n"
        "prompt 1: 2 tokens, and 4 of its answer (max_new_tokens)\n"
        "Give these prompts a smaller max_new_tokens, or shorten them.",
    )
    assert not (tmp_path / "over/answers.jsonl").exists()


@pytest.mark.parametrize(("window", "tokens", "room"), [(None, 14, 14), (64, 14, 64), (64, 100, 100), (4096, 14, 512)])
def test_a_sliding_cache_has_room_for_its_window(window: int | None, tokens: int, room: int, tmp_path: Path) -> None:
    decoder = {} if window is None else {"sliding_window": {"window_size": window}}
    (tmp_path / "genai_config.json").write_text(json.dumps({"model": {"context_length": 512, "decoder": decoder}}), encoding="utf-8")
    assert ort_generate.room(genai_config.read(tmp_path), tokens) == room
