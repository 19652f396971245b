"""A checkpoint next to the recipe: known by its content, copied completely, never from outside the recipe's folder."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.formats import checkpoint as survey
from bakehouse.recipe.loader import RecipeErrors
from bakehouse.recipe.source import Local
from bakehouse.sources import local
from bakehouse.sources import table as sources
from bakehouse.sources.workers import model_type
from tests.support import worker
from tests.support.bench import recipe
from tests.support.fakes import planned
from tests.support.standin import safetensors
from tests.support.systems import needs_converters, not_under_wine

CHECKPOINT = {"config.json", "tokenizer.json", "model.safetensors", "LICENSE"}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A recipe's folder with a checkpoint in `model` and a GGUF file next to it."""
    folder = tmp_path / "recipes"
    (folder / "model").mkdir(parents=True)
    for name in (*CHECKPOINT, "README.md", "pytorch_model.bin", "run.py"):
        (folder / "model" / name).write_text("{}", encoding="utf-8")
    (folder / "model" / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    (folder / "model" / "model.safetensors").write_bytes(safetensors({"a": 100}))
    (folder / "model.gguf").write_bytes(b"GGUF")
    (folder / "LICENSE").write_text("licence\n", encoding="utf-8")
    return folder


def source(path: str) -> Local:
    return Local(type="local", path=path, license="MIT")


def fingerprint(path: Path) -> str:
    return local.fingerprint(path, path.parent.parent / "cache" / "fingerprints.json")


def content(path: Path) -> local.Content:
    return local.Content(path, fingerprint(path))


def copied(base: Path, path: str, files: Path) -> tuple[worker.Said, tuple[str, ...]]:
    files.mkdir()
    step = sources.checkpoint(source(path), "tiny", content(base / path))
    step = dict(step.needs).get("download", step)
    said = worker.run(local.command(step, {}, files))
    return said, local.verify(step, {}, files, said.report).faults if said.code == 0 else ()


def test_only_what_belongs_to_a_checkpoint_is_copied(base: Path, tmp_path: Path) -> None:
    said, faults = copied(base, "model", tmp_path / "files")
    assert (said.code, faults) == (0, ()), said.text
    assert {path.name for path in (tmp_path / "files").iterdir()} == CHECKPOINT
    for name in CHECKPOINT:
        assert (tmp_path / "files" / name).read_bytes() == (base / "model" / name).read_bytes()


def test_a_gguf_file_is_copied_with_the_licence_next_to_it(base: Path, tmp_path: Path) -> None:
    said, faults = copied(base, "model.gguf", tmp_path / "files")
    assert (said.code, faults) == (0, ()), said.text
    assert {path.name for path in (tmp_path / "files").iterdir()} == {"model.gguf", "LICENSE"}


def test_shards_are_copied_by_the_index(base: Path, tmp_path: Path) -> None:
    model = base / "model"
    (model / "model.safetensors").rename(model / "model-00001-of-00001.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00001.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    said, faults = copied(base, "model", tmp_path / "files")
    assert (said.code, faults) == (0, ()), said.text
    assert (tmp_path / "files" / "model-00001-of-00001.safetensors").exists()


def test_a_change_after_planning_is_a_fault(base: Path, tmp_path: Path) -> None:
    step = sources.checkpoint(source("model"), "tiny", content(base / "model"))
    (base / "model" / "tokenizer.json").write_text("{ }", encoding="utf-8")
    files = tmp_path / "files"
    files.mkdir()
    said = worker.run(local.command(step, {}, files))
    assert local.verify(step, {}, files, said.report).faults == snapshot(
        ("The source's files changed while they were being read: run the same command again.",)
    )


def test_the_fingerprint_is_of_the_content_alone(base: Path, tmp_path: Path) -> None:
    before = fingerprint(base / "model")
    (base / "model").rename(base / "moved")
    for path in (base / "moved").iterdir():
        os.utime(path, (1, 1))
    (base / "moved" / "README.md").write_text("another", encoding="utf-8")
    assert fingerprint(base / "moved") == before
    (base / "moved" / "tokenizer.json").write_text("{ }", encoding="utf-8")
    assert fingerprint(base / "moved") != before


def test_a_file_that_did_not_change_is_not_read_again(base: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache.json"
    weights = base / "model.gguf"
    os.utime(weights, (1, 1))
    # A file whose times are older than the clock's tick is remembered; its change time cannot be set, so put it there.
    before = local.fingerprint(weights, cache)
    stat = weights.stat()
    entry = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, "0" * 64]
    cache.write_text(json.dumps({str(weights): entry}), encoding="utf-8")
    assert local.fingerprint(weights, cache) != before
    weights.write_bytes(b"FUGG")
    after = local.fingerprint(weights, cache)
    cache.unlink()
    assert local.fingerprint(weights, cache) == after


def test_a_damaged_memory_of_fingerprints_is_made_anew(base: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache.json"
    before = local.fingerprint(base / "model", cache)
    cache.write_text("{", encoding="utf-8")
    assert local.fingerprint(base / "model", cache) == before


def test_the_key_holds_the_content_and_not_the_place(base: Path) -> None:
    one = sources.checkpoint(source("model"), "tiny", local.Content(base / "model", "0" * 64))
    (base / "model").rename(base / "moved")
    other = sources.checkpoint(source("moved"), "tiny", local.Content(base / "moved", "0" * 64))
    assert one.key == other.key
    assert one.notes != other.notes


REMEDY = "Put the files themselves, not links to them, next to the recipe; or set PIPELINE_UNTRUSTED=0 if the recipe is your own."


def test_a_path_out_of_the_folder_of_an_untrusted_recipe_is_refused(base: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "model.gguf").write_bytes(b"GGUF")
    for path in ("../secret/model.gguf", "../secret/none.gguf", "/etc", "~/none", str(tmp_path / "secret")):
        _is_refused_as_outside(base, path)


@not_under_wine("its links are seen as what they lead to")
def test_a_link_out_of_the_folder_of_an_untrusted_recipe_is_refused(base: Path, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    (base / "link.gguf").symlink_to(tmp_path / "model.gguf")
    _is_refused_as_outside(base, "link.gguf")


def _is_refused_as_outside(base: Path, path: str) -> None:
    with pytest.raises(Failure) as failure:
        local.resolve(base, path, confined=True)
    assert failure.value.what == f"{path} lies outside the recipe's folder, and this recipe is not trusted."
    assert failure.value.remedy == REMEDY


@not_under_wine("its links are seen as what they lead to")
def test_a_file_that_links_out_of_the_folder_of_an_untrusted_recipe_is_refused(base: Path, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(safetensors({"a": 1}))
    (base / "model" / "model.safetensors").unlink()
    (base / "model" / "model.safetensors").symlink_to(tmp_path / "weights")
    with pytest.raises(Failure) as failure:
        local.resolve(base, "model", confined=True)
    assert str(failure.value) == (
        f"{base}: model lies outside the recipe's folder, and this recipe is not trusted.\n"
        f"    {base / 'model' / 'model.safetensors'} is {tmp_path / 'weights'}\n"
        f"  what to do: {REMEDY}"
    )


@pytest.mark.parametrize(
    ("environ", "untrusted"),
    [
        ({}, False),
        ({"CI": "true", "GITHUB_EVENT_NAME": "push"}, False),
        ({"GITHUB_EVENT_NAME": "pull_request"}, True),
        ({"GITHUB_EVENT_NAME": "pull_request_target"}, True),
        ({"CI_MERGE_REQUEST_ID": "7"}, True),
        ({"GITHUB_EVENT_NAME": "pull_request", "PIPELINE_UNTRUSTED": "0"}, False),
        ({"PIPELINE_UNTRUSTED": "1"}, True),
    ],
)
def test_recipes_are_untrusted_where_they_come_from_others(environ: dict[str, str], untrusted: bool) -> None:
    assert local.untrusted(environ) is untrusted


@not_under_wine("its links are seen as what they lead to")
def test_a_recipe_of_ones_own_may_name_files_anywhere(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    blobs, snapshot_of_cache = tmp_path / "blobs", tmp_path / "snapshots" / "0123"
    blobs.mkdir()
    snapshot_of_cache.mkdir(parents=True)
    for number, file in enumerate(sorted((base / "model").iterdir())):
        file.rename(blobs / str(number))
        (snapshot_of_cache / file.name).symlink_to(blobs / str(number))
    (blobs / "gguf").write_bytes(b"GGUF")
    (tmp_path / "tiny.gguf").symlink_to(blobs / "gguf")
    for written in ("../snapshots/0123", "~/snapshots/0123", str(snapshot_of_cache)):
        assert local.resolve_model(base, written, confined=False) == snapshot_of_cache
    assert local.resolve_model(base, "~/tiny.gguf", confined=False) == tmp_path / "tiny.gguf"
    assert local.fingerprint(snapshot_of_cache, tmp_path / "cache.json")


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes are no files there")
def test_what_is_not_a_file_is_refused(base: Path) -> None:
    os.mkfifo(base / "pipe.gguf")
    with pytest.raises(Failure, match=r"pipe\.gguf is neither a folder nor a file"):
        local.resolve_model(base, "pipe.gguf", confined=False)


def test_a_path_that_is_not_there_is_refused(base: Path) -> None:
    with pytest.raises(Failure) as failure:
        local.resolve(base, "none", confined=False)
    assert str(failure.value) == f"{base}: none does not exist.\n  what to do: Put it in that place, or correct the path in the recipe."


@pytest.mark.skipif(sys.platform == "win32", reason="a folder has no named pipes there")
def test_a_part_that_is_not_an_ordinary_file_is_refused_and_not_left_out(base: Path) -> None:
    (base / "model" / "generation_config.json").symlink_to("nowhere")
    os.mkfifo(base / "model" / "vocab.json")
    with pytest.raises(Failure) as failure:
        local.resolve(base, "model", confined=False)
    assert str(failure.value) == (
        f"{base}: model has parts that are not ordinary files.\n"
        "    generation_config.json is a link that leads nowhere\n    vocab.json\n"
        "  what to do: Put ordinary files in their place; where links of the hub's cache lead nowhere, get the model again."
    )


def test_pickles_are_refused(base: Path) -> None:
    (base / "model" / "model.safetensors").unlink()
    with pytest.raises(Failure) as failure:
        local.resolve_model(base, "model", confined=False)
    assert str(failure.value) == (
        f"{base / 'model'}: The weights are pickles, which can run any code while they are read, and the repository has no safetensors.\n"
        "    pytorch_model.bin\n"
        "  what to do: Take a repository or a commit with safetensors weights, or write `convert_pickles: true` into the recipe's source: "
        "they are then read as plain data and made safetensors."
    )
    assert local.resolve_model(base, "model", confined=False, pickles=True) == base / "model"


def test_safetensors_are_not_taken_for_pickles(base: Path) -> None:
    with pytest.raises(Failure, match="The weights are safetensors, so convert_pickles would have no effect"):
        local.resolve_model(base, "model", confined=False, pickles=True)


@needs_converters
def test_a_model_that_needs_code_of_its_own_is_refused(base: Path, tmp_path: Path) -> None:
    config = {"model_type": "novel", "auto_map": {"AutoConfig": "run.Config"}}
    (base / "model" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    said, _ = copied(base, "model", tmp_path / "files")
    assert said.refusal.splitlines() == [
        'The model type "novel" is not part of transformers 5.5.4: it needs Python code of the repository.',
        "run.py",
        model_type.LOCAL,
    ]


def test_a_gguf_source_is_two_steps(base: Path) -> None:
    step = sources.checkpoint(source("model.gguf"), "tiny", local.Content(base / "model.gguf", "0" * 64))
    assert (step.kind, step.maker, step.options["file"]) == ("checkpoint", "gguf", "model.gguf")
    assert (step.need("download").kind, step.need("download").maker) == ("download", "local")
    assert sources.survey(source("model.gguf"), "tiny") is None


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.json", "{", "config.json is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)."),
        ("config.json", "[]", "config.json is not a JSON object."),
        (
            "model.safetensors.index.json",
            "{}",
            "model.safetensors.index.json is not an index of weights: it has no `weight_map` of weights and files.",
        ),
    ],
)
def test_a_checkpoint_whose_json_is_nonsense_is_refused(file: str, content: str, said: str, base: Path) -> None:
    if file.startswith("model"):
        (base / "model" / "model.safetensors").unlink()
    (base / "model" / file).write_text(content, encoding="utf-8")
    with pytest.raises(Failure) as failure:
        fingerprint(base / "model")
    assert str(failure.value) == f"{base / 'model'}: {said}\n  what to do: Take a complete checkpoint, as the model's author published it."


def test_a_checkpoint_whose_weights_are_nonsense_is_refused_before_it_is_copied(base: Path) -> None:
    (base / "model" / "model.safetensors").write_bytes(b"garbage")
    with pytest.raises(Failure) as failure:
        survey.read_checkpoint(base / "model")
    assert str(failure.value) == (
        f"{base / 'model'}: The checkpoint is not complete.\n"
        "    model.safetensors is not a safetensors file: it does not begin with the length of a header.\n"
        "  what to do: Put a complete checkpoint in this folder."
    )


@pytest.mark.needs_backend("openvino")
def test_all_that_recipes_name_next_to_them_and_is_not_right_is_reported_by_line(base: Path) -> None:
    (base / "notes.txt").write_text("notes", encoding="utf-8")
    calibrated = {"weights": "int4", "awq": True, "calibration": {"type": "file", "path": "model"}}
    apart = {"source": {"type": "local", "path": "notes.txt", "license": "MIT"}}
    with pytest.raises(RecipeErrors) as caught:
        planned(
            base,
            recipe("one", builds={"a": {"runtime": "openvino", "quantization": calibrated}}, **apart),
            recipe("two", source={**apart["source"], "path": "gone"}),
        )
    assert str(caught.value).replace(f"{base.as_posix()}/", "") == snapshot(
        "one.yaml:6:9: notes.txt is neither a checkpoint directory nor a GGUF file.\n"
        "  6 |   path: notes.txt\n"
        "    |         ^^^^^^^^^\n"
        "help: Write the path of one of them into the recipe.\n\n"
        "one.yaml:21:15: model is a directory.\n"
        "  21 |         path: model\n"
        "     |               ^^^^^\n"
        "help: Write the path of a text file into the recipe.\n\n"
        "two.yaml:6:9: gone does not exist.\n"
        "  6 |   path: gone\n"
        "    |         ^^^^\n"
        "help: Put it in that place, or correct the path in the recipe.\n\n"
        "3 errors in 2 recipes."
    )


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ((), "There is no tokenizer.json, so texts cannot be turned into tokens."),
        (("tokenizer.model",), "There is no tokenizer.json, only tokenizer.model: a SentencePiece model alone is not read."),
        (
            ("tekken.json",),
            "There is no tokenizer.json, only tekken.json, which no runtime here reads: it is the tokenizer of Mistral's own tools.",
        ),
    ],
    ids=["none", "SentencePiece", "tekken"],
)
def test_a_checkpoint_without_a_tokenizer_is_refused_before_it_is_copied(base: Path, files: tuple[str, ...], what: str) -> None:
    (base / "model" / "tokenizer.json").unlink()
    for name in files:
        (base / "model" / name).write_text("{}", encoding="utf-8")
    with pytest.raises(Failure) as refused:
        fingerprint(base / "model")
    assert refused.value.what == what


def test_vocabulary_and_merges_are_a_tokenizer(base: Path) -> None:
    (base / "model" / "tokenizer.json").rename(base / "model" / "vocab.json")
    (base / "model" / "merges.txt").write_text("", encoding="utf-8")
    assert {"vocab.json", "merges.txt"} <= set(local.files_of(base / "model"))


def test_the_other_chat_templates_belong_to_a_checkpoint(base: Path, tmp_path: Path) -> None:
    more = base / "model" / "additional_chat_templates"
    more.mkdir()
    (more / "tool_use.jinja").write_text("{{ messages }}", encoding="utf-8")
    before = fingerprint(base / "model")
    said, faults = copied(base, "model", tmp_path / "files")
    assert (said.code, faults) == (0, ()), said.text
    assert (tmp_path / "files" / "additional_chat_templates" / "tool_use.jinja").read_text(encoding="utf-8") == "{{ messages }}"
    (more / "tool_use.jinja").write_text("{{ tools }}", encoding="utf-8")
    assert fingerprint(base / "model") != before


@pytest.mark.parametrize(("names", "chats"), [(("default", "tool_use"), True), (("tool_use",), False)], ids=["default", "none"])
def test_of_several_templates_a_chat_takes_the_default_one(base: Path, names: tuple[str, ...], chats: bool) -> None:
    fields = {"chat_template": [{"name": name, "template": "{{ messages }}"} for name in names]}
    (base / "model" / "tokenizer_config.json").write_text(json.dumps(fields), encoding="utf-8")
    assert survey.has_chat_template(base / "model") == chats


def test_the_headers_of_a_checkpoint_are_read_again_only_once_they_changed(base: Path) -> None:
    before = survey.read_checkpoint(base / "model")
    assert survey.read_checkpoint(base / "model") is before
    (base / "model" / "model.safetensors").write_bytes(safetensors({"other": 100}))
    assert [tensor.name for tensor in survey.read_checkpoint(base / "model").tensors] == ["other"]
