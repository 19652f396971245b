"""The Phi-3 stand-in in ONNX: the builder's own bytes, and folders that load by themselves and answer, on the CPU for want of DirectML."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from tests.support.ort_making import Made, answers, batch, build, make, sha256
from tests.support.standin import QUESTION
from tests.support.worker import ROOT, run, to_generate

pytestmark = pytest.mark.model

BUILDS = {
    "cpu-int4": build("cpu", weights="int4", block_size=32, accuracy_level=4),
    "dml-int4": build("dml", weights="int4", block_size=32),
    "dml-fp16": build("dml", weights="fp16"),
}
PROMPTS: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": QUESTION}], "max_new_tokens": 32},
    {"raw": "The capital of Germany is", "max_new_tokens": 6},
]


@pytest.fixture(scope="module")
def one_end_checkpoint(phi3_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in whose config.json names another end token than its generation config, and a penalty that the builder does not see."""
    folder = tmp_path_factory.mktemp("ends") / "checkpoint"
    shutil.copytree(phi3_checkpoint, folder, copy_function=lambda source, target: Path(target).symlink_to(source))
    path = folder / "generation_config.json"
    fields = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    path.write_text(json.dumps({**fields, "eos_token_id": [2, 0, 1], "repetition_penalty": 1.05}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def made(phi3_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """Every build, made by the backend's own command and verified."""
    folder = tmp_path_factory.mktemp("phi3-ort")
    return {name: make(one, folder / name, phi3_checkpoint) for name, one in BUILDS.items()}


@pytest.mark.conformance
@pytest.mark.parametrize("name", BUILDS)
def test_what_is_made_is_what_was_requested_and_the_tokenizer_is_transformers(name: str, made: dict[str, Made]) -> None:
    found = made[name].verification
    assert found.faults == ()
    assert found.measured["end_tokens"] == [0, 2]
    windowless = name.startswith("dml")
    assert found.measured["context_length"] == (2047 if windowless else 4096)
    assert found.measured.get("context_cut_from") == (4096 if windowless else None)
    assert found.measured["tokenizer_texts_compared"] > 60


@pytest.mark.conformance
@pytest.mark.parametrize("name", BUILDS)
def test_every_build_answers_and_says_where(name: str, made: dict[str, Made], tmp_path: Path) -> None:
    (first, second), found = answers(BUILDS[name], made[name].files, PROMPTS, tmp_path)
    assert "Paris" in first["text"]
    assert first["ended"] and first["tokens"][-1] in (0, 2)
    assert not second["ended"] and len(second["tokens"]) == 6
    assert found.device == "CPU"
    if name.startswith("dml") and sys.platform != "win32":
        assert found.stand_in
        assert (found.why_not_there or "").startswith("DML provider requested")
    else:
        assert not found.stand_in


@pytest.mark.conformance
def test_fp16_for_directml_answers_as_the_source_does(made: dict[str, Made], tmp_path: Path) -> None:
    (first, second), _ = answers(BUILDS["dml-fp16"], made["dml-fp16"].files, PROMPTS, tmp_path)
    assert first["text"] == snapshot("The capital of France is Paris.")
    assert "Berlin" in second["text"]


@pytest.mark.conformance
def test_the_model_is_the_builders_own_bytes_once_config_json_names_the_layers(
    made: dict[str, Made], phi3_checkpoint: Path, tmp_path: Path
) -> None:
    named = tmp_path / "named"
    shutil.copytree(phi3_checkpoint, named, copy_function=lambda source, target: Path(target).symlink_to(source))
    config = json.loads((phi3_checkpoint / "config.json").read_text(encoding="utf-8"))
    assert config["sliding_window"] == 2047 and "layer_types" not in config
    (named / "config.json").unlink()
    types = ["sliding_attention"] * config["num_hidden_layers"]
    (named / "config.json").write_text(json.dumps(config | {"layer_types": types}), encoding="utf-8")
    batch(tmp_path, named, {"cpu-int4": BUILDS["cpu-int4"]}, ("cpu-int4",))
    for file in ("model.onnx.data", "model.onnx", "genai_config.json"):
        assert sha256(made["cpu-int4"].files / file) == sha256(tmp_path / "upstream-cpu-int4" / file), file


@pytest.mark.conformance
def test_the_builders_own_tokenizer_is_not_the_sources_until_it_is_fixed(
    made: dict[str, Made], phi3_checkpoint: Path, tmp_path: Path
) -> None:
    for path in made["cpu-int4"].files.iterdir():
        (tmp_path / path.name).hardlink_to(path)
    (tmp_path / "tokenizer.json").unlink()
    shutil.copyfile(phi3_checkpoint / "tokenizer.json", tmp_path / "tokenizer.json")
    program = (
        "import json, sys; from pathlib import Path; from bakehouse.backends.onnxruntime_genai.workers import tokenizer as t; "
        "from bakehouse.tasks.text_generation.workers import tokenizers_loading; "
        "a, b = map(Path, sys.argv[1:]); differ = lambda: len(t.compare(tokenizers_loading.load(a), b, False).differences); "
        "print(json.dumps([differ(), t.fix_digits(b), differ()]))"
    )
    argv = [sys.executable, "-c", program, str(phi3_checkpoint), str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
    before, fixed, after = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("[")))
    assert (before > 0, fixed, after) == (True, True, 0)


def test_what_the_builder_leaves_out_of_the_generation_config_is_put_in(one_end_checkpoint: Path, tmp_path: Path) -> None:
    found = make(BUILDS["dml-fp16"], tmp_path, one_end_checkpoint)
    assert found.verification.faults == ()
    assert found.result.mended["repetition_penalty"] == 1.05
    config = json.loads((found.files / "genai_config.json").read_text(encoding="utf-8"))
    assert sorted(config["model"]["eos_token_id"]) == [0, 1, 2]
    assert config["search"]["repetition_penalty"] == 1.05


def test_bfloat16_is_refused_on_the_cpu_in_words(tiny_checkpoint: Path, tmp_path: Path) -> None:
    one = build("cuda", weights="bf16")
    files = make(one, tmp_path / "made", tiny_checkpoint).files
    from bakehouse.backends.onnxruntime_genai import backend as ort_genai

    for path, file in ort_genai.layout(one, {"model": files}).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).hardlink_to(file)
    ended = run(ort_genai.generate(one, {}, to_generate(tmp_path, PROMPTS, tmp_path)))
    assert ended.code == 3
    assert ended.refusal.startswith(
        "The model does not run on the CPU provider, and this machine does not have the one that it is made for."
    )
