"""`bakehouse init`: what a source is, which builds fit it, and the recipe that is written."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.app.init import command, origin, paths
from bakehouse.app.plan_table import plan_text
from bakehouse.app.workspace import open_workspace
from bakehouse.errors import Failure
from bakehouse.executor.process import Children
from bakehouse.executor.session import Session
from bakehouse.recipe import loader
from bakehouse.recipe.source import HuggingFace, Local
from bakehouse.recipe.types import local_path
from tests.formats.test_gguf_header import PLAIN, write
from tests.support.hub import Hub
from tests.support.systems import not_under_wine

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HIDDEN, INNER, WORDS = 640, 1280, 1000


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("PIPELINE_RECIPES", "PIPELINE_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    return folder


def model(folder: Path, context: int = 4096, **card: str) -> Path:
    """A Llama of two layers with weights of zeros, a chat template, and a card with this front matter."""
    folder.mkdir(parents=True)
    layer = {
        "input_layernorm": (HIDDEN,), "post_attention_layernorm": (HIDDEN,),
        **{f"self_attn.{name}_proj": (HIDDEN, HIDDEN) for name in "qkvo"},
        "mlp.gate_proj": (INNER, HIDDEN), "mlp.up_proj": (INNER, HIDDEN), "mlp.down_proj": (HIDDEN, INNER),
    }  # fmt: skip
    shapes = {"model.embed_tokens": (WORDS, HIDDEN), "model.norm": (HIDDEN,), "lm_head": (WORDS, HIDDEN)}
    shapes |= {f"model.layers.{number}.{name}": shape for number in range(2) for name, shape in layer.items()}
    weights(folder / "model.safetensors", {f"{name}.weight": shape for name, shape in shapes.items()})
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16", "hidden_size": HIDDEN,
        "intermediate_size": INNER, "num_hidden_layers": 2, "num_attention_heads": 10, "num_key_value_heads": 10, "vocab_size": WORDS,
        "max_position_embeddings": context, "eos_token_id": 2, "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
    }  # fmt: skip
    texts = {
        "config.json": json.dumps(config), "generation_config.json": '{"eos_token_id": 2}', "tokenizer.json": "{}",
        "tokenizer_config.json": json.dumps({"chat_template": "{{ messages }}"}),
        "README.md": "---\n" + "".join(f"{name}: {value}\n" for name, value in card.items()) + "---\n# A model\n",
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def weights(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """A safetensors file of zeros in bfloat16."""
    header: dict[str, Any] = {}
    at = 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(at))


def init(*words: str) -> int:
    parser = argparse.ArgumentParser("bakehouse init")
    command.add_arguments(parser)
    return command.run(parser.parse_args(words), Children())


def refusal(*words: str) -> str:
    with pytest.raises(Failure) as caught:
        init(*words)
    return str(caught.value)


@pytest.mark.needs_backend("onnxruntime_genai", "openvino", "openvino_npu")
def test_a_folder_becomes_a_recipe_that_the_loader_takes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model(here / "recipes" / "My-Model", license="apache-2.0", base_model="bakers/base")
    assert init("recipes/My-Model") == 0
    (loaded,) = loader.load_all(here / "recipes")
    assert isinstance(loaded.recipe.source, Local)
    assert (loaded.recipe.source.path, loaded.recipe.source.base_model) == ("My-Model", "bakers/base")
    assert loaded.text == snapshot("""\
schema_version: 1
name: my-model
description: My-Model for AI PCs
source:
  type: local
  path: My-Model
  license: apache-2.0
  base_model: bakers/base
# Every build must answer this before it is packaged; add what your users ask.
golden:
  - prompt: What is the capital of France?
    contains: [Paris]
    max_new_tokens: 32
builds:
  # Intel CPU and GPU: 4 bits, a scale for each 32 weights; 20% of the layers stay in 8 bits, those that lose most.
  # ACCURACY: compute in the model's own precision, which quantized weights need on processors that round to bfloat16 by
  # default.
  int4-openvino:
    runtime: openvino
    quantization: {weights: int4, ratio: 0.8, group_size: 32, symmetric: false}
    runtime_options: {EXECUTION_MODE_HINT: ACCURACY}
  # Intel CPU and GPU: 8 bits, nearest to the source of all quantized builds.
  int8-openvino:
    runtime: openvino
    quantization: {weights: int8}
    runtime_options: {EXECUTION_MODE_HINT: ACCURACY}
  # Any CPU: 4 bits in blocks of 32; accuracy_level 4 multiplies in 8-bit integers, which is fastest.
  int4-ort-cpu:
    runtime: onnxruntime-genai
    execution_provider: cpu
    quantization: {weights: int4, block_size: 32, accuracy_level: 4}
  # Any GPU with DirectX 12, on Windows: 4 bits in blocks of 32.
  int4-ort-directml:
    runtime: onnxruntime-genai
    execution_provider: dml
    quantization: {weights: int4, block_size: 32}
  # Intel NPU, compiled ahead of time for Lunar Lake (4000); 3720 is Meteor Lake, 5010 Panther Lake.
  int4-npu:
    runtime: openvino-npu
    quantization: {weights: int4, group_size: 128}
    platforms: [4000]
""")
    assert capsys.readouterr().out.replace(str(here), "HERE").replace("\\", "/") == snapshot("""\
My-Model: My-Model, licence apache-2.0
wrote HERE/recipes/my-model.yaml
  my-model-int4-openvino
  my-model-int8-openvino
  my-model-int4-ort-cpu
  my-model-int4-ort-directml
  my-model-int4-npu
next: bakehouse build my-model-int4-openvino
""")


@pytest.mark.whole
@pytest.mark.needs_backend("openvino")
def test_a_repository_is_pinned_to_the_commit_that_main_is_now(here: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.serve(model(here.parent / "model", license="other", license_name="llama3", license_link="LICENSE"), "bakers/Tiny", COMMIT)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert init("bakers/Tiny", "--runtime", "openvino", "--name", "mine", "--prompt", "Say hi", "--contains", "hi") == 0
    recipe = loader.load(here / "recipes" / "mine.yaml")
    assert isinstance(recipe.source, HuggingFace)
    source = recipe.source
    assert (source.revision, source.license, source.license_name, source.license_link) == (COMMIT, "other", "llama3", "LICENSE")
    assert list(recipe.builds) == ["int4-openvino", "int8-openvino"]
    assert (recipe.golden[0].prompt, recipe.golden[0].contains) == ("Say hi", ("hi",))


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("bakers/tiny", ("bakers/tiny", "main", "")),
        ("bakers/tiny@v1", ("bakers/tiny", "v1", "")),
        ("https://huggingface.co/bakers/tiny", ("bakers/tiny", "main", "")),
        ("https://huggingface.co/bakers/tiny/tree/dev", ("bakers/tiny", "dev", "")),
        ("https://huggingface.co/bakers/tiny/blob/main/a%20b.gguf", ("bakers/tiny", "main", "a b.gguf")),
    ],
)
def test_a_repository_may_be_given_by_its_address(given: str, place: tuple[str, str, str]) -> None:
    found = origin.place(given)
    assert found and (found.repo, found.revision, found.gguf) == place


@pytest.mark.needs_backend("openvino")
def test_a_gguf_file_gets_groups_of_32_and_its_own_licence(here: Path) -> None:
    (here / "recipes").mkdir()
    write(here / "recipes" / "Tiny.Q8_0.gguf", {**PLAIN, "general.license": "mit", "tokenizer.chat_template": "{{ messages }}"})
    assert init("recipes/Tiny.Q8_0.gguf", "--runtime", "openvino") == 0
    (loaded,) = loader.load_all(here / "recipes")
    assert loaded.recipe.source.license == "mit"
    assert "group_size: 32" in loaded.text


@pytest.mark.needs_backend("openvino_npu")
def test_a_build_that_does_not_fit_is_left_out_with_its_reason(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model(here / "recipes" / "short", context=512)
    init("recipes/short")
    reason = "max_prompt_len and min_response_len make 1152 tokens together, and the model's context holds 512"
    assert f"left out: int4-npu: {reason}" in capsys.readouterr().out
    assert f"  # left out, int4-npu: {reason}" in (here / "recipes" / "short.yaml").read_text(encoding="utf-8")


def test_a_recipe_that_exists_is_not_written_over(here: Path) -> None:
    model(here / "recipes" / "tiny")
    init("recipes/tiny")
    assert f"{Path('recipes/tiny.yaml')} exists." in refusal("recipes/tiny")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("./nothing",), "`./nothing` does not exist here."),
        (("nothing",), "`nothing` is not a model."),
        (("C:/nothing",), "`C:/nothing` does not exist here."),
        (("models\\nothing",), "`models\\nothing` does not exist here."),
        (("bakers/tiny", "--prompt", "Hi"), "Give both --prompt and --contains."),
    ],
)
def test_what_is_not_a_source_is_refused_with_what_could_be_one(here: Path, words: tuple[str, ...], said: str) -> None:
    assert said in refusal(*words)


@pytest.mark.whole
def test_a_folder_that_does_not_exist_may_have_been_meant(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert "recipes/tiny does not exist here, so it was taken for a repository on the hub" in refusal("recipes/tiny")


@pytest.mark.needs_backend("onnxruntime_genai", "openvino", "openvino_npu")
def test_a_folder_elsewhere_becomes_a_recipe_that_plans_without_a_download(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("GITHUB_EVENT_NAME", raising=False)
    model(tmp_path / "models" / "tiny", license="mit")
    assert init("~/models/tiny") == 0
    opened = open_workspace()
    assert isinstance(opened.loaded[0].recipe.source, Local)
    assert opened.loaded[0].recipe.source.path == (tmp_path / "models" / "tiny").as_posix()
    text = plan_text(opened.plan.builds[:1], Session(opened.store, Children()), {step.key: step.label for step in opened.plan.steps})
    assert " to read from local sources, " in text
    assert "to download" not in text


@pytest.mark.needs_backend("onnxruntime_genai", "openvino", "openvino_npu")
@not_under_wine("it resolves no links")
@pytest.mark.parametrize("given", ["models--me--tiny", f"models--me--tiny/snapshots/{COMMIT}"])
def test_a_snapshot_of_the_hubs_cache_is_named_after_its_repository(here: Path, tmp_path: Path, given: str) -> None:
    folder = tmp_path / "hub" / "models--me--tiny"
    blobs = model(folder / "blobs", license="mit")
    (folder / "snapshots" / COMMIT).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    for blob in blobs.iterdir():
        (folder / "snapshots" / COMMIT / blob.name).symlink_to(f"../../blobs/{blob.name}")
    assert init(str(tmp_path / "hub" / given)) == 0
    (loaded,) = open_workspace({}).loaded
    assert loaded.recipe.name == "tiny"
    assert f"  #   type: huggingface\n  #   repo: me/tiny\n  #   revision: {COMMIT}\n" in loaded.text


def test_a_folder_of_the_cache_with_several_snapshots_is_refused(here: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models--me--tiny"
    for commit in ("a" * 40, "b" * 40):
        (folder / "snapshots" / commit).mkdir(parents=True)
    assert refusal(str(folder)) == (
        f"{folder} has 2 snapshots, and none of them is that of main.\n    {folder / 'snapshots' / ('a' * 40)}\n"
        f"    {folder / 'snapshots' / ('b' * 40)}\n  what to do: Give the folder of the snapshot that you mean."
    )


@pytest.mark.model
@pytest.mark.conformance
@pytest.mark.needs_backend("openvino")
def test_a_folder_elsewhere_is_built_and_its_package_says_not_where_it_lies(here: Path, tmp_path: Path, tiny_checkpoint: Path) -> None:
    shutil.copytree(tiny_checkpoint, tmp_path / "secret-place" / "tiny")
    environ = {name: value for name, value in os.environ.items() if name != "GITHUB_EVENT_NAME"}

    def bakehouse(*words: str) -> str:
        argv = [sys.executable, "-m", "bakehouse.app.main", *words]
        done = subprocess.run(argv, cwd=here, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = bakehouse("init", "../secret-place/tiny", "--runtime", "openvino")
    name = said.rpartition("next: bakehouse build ")[2].strip()
    bakehouse("lint")
    assert "to read from local sources" in bakehouse("plan", name)
    bakehouse("build", name)
    texts = [path for path in (here / "artifacts" / "packages" / name).rglob("*") if path.suffix in (".json", ".md", ".yaml")]
    assert texts
    assert not [path.name for path in texts if b"secret-place" in path.read_bytes()]


@pytest.mark.parametrize(
    ("given", "written"),
    [(r"C:\models\tiny", "C:/models/tiny"), (r"\\server\share\tiny", "//server/share/tiny"), (r"C:\me\recipes\tiny", "tiny")],
)
def test_what_init_writes_on_windows_is_what_a_recipe_takes_there(given: str, written: str) -> None:
    assert paths.as_written(PureWindowsPath(given), PureWindowsPath(r"C:\me\recipes")) == written
    assert local_path(written, windows=True) == written
    assert given == written or local_path(given, windows=True) in (written, "C:/me/recipes/tiny")
