"""`bakehouse support`: which models each runtime takes, and with which toolchain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.app.main import main

pytestmark = pytest.mark.needs_backend("openvino", "onnxruntime_genai", "openvino_npu", "npu_library")


def test_a_model_type_has_a_line_with_each_runtime(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["support", "gemma2"]) == 0
    found = capsys.readouterr().out
    assert [line.split() for line in found.splitlines()[1:2]] == [["gemma2", "transformers-5.0", "yes", "transformers-5.0", "-"]]
    assert found.splitlines()[-1] == snapshot("write into its recipe: toolchain: transformers-5.0")


def test_without_a_word_all_model_types_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["support", "--json"]) == 0
    models = {one["model_type"]: one["toolchains"] for one in json.loads(capsys.readouterr().out)["models"]}
    assert models["llama"]["openvino"][0] == "transformers-5.5" and models["qwen"]["openvino"] == ["transformers-4.53"]
    assert len(models) > 70


def test_a_model_type_has_a_table_for_each_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["support", "qwen3"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("task: ")] == ["task: embeddings", "task: reranker"]
    assert main(["support", "qwen2_vl"]) == 0
    assert capsys.readouterr().out == snapshot("""\
task: vision-language
model type    openvino        \n\
qwen2_vl      transformers-5.0
write into its recipe: toolchain: transformers-5.0
""")


def test_a_folder_of_another_task_is_judged_for_that(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"model_type": "qwen2_vl", "architectures": ["Qwen2VLForConditionalGeneration"], "vision_config": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert main(["support", str(tmp_path), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["models"]
    assert (found["task"], found["toolchains"]) == ("vision-language", {"openvino": ["transformers-5.0"]})


def test_a_folder_is_judged_by_its_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"], "rope_parameters": {"rope_theta": 1e6}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert main(["support", str(tmp_path), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["models"]
    assert found["toolchains"]["openvino"] == ["transformers-5.0"]  # an older one would pass over rope_parameters


def test_a_wrong_word_is_answered_with_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["support", "gema2"]) == 1
    assert capsys.readouterr().err == snapshot("""\
ERROR: No runtime is known to take models of type gema2.
  what to do: Did you mean gemma2?
""")


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_folder_without_a_readable_config_is_refused(tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    assert main(["support", str(tmp_path)]) == 1
    found = capsys.readouterr().err
    assert "config.json" in found and "what to do: Name the folder of a checkpoint, or a model type." in found
