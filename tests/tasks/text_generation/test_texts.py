"""Tokenizers, chat templates and generation configs as people's repositories have them: what an artifact of them reads and ends with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.openvino import backend as openvino
from bakehouse.steps.step import Step
from bakehouse.tasks.text_generation import reference
from bakehouse.tasks.text_generation.workers.answers import Prompt
from tests.support import cases, worker
from tests.support.bench import Bench
from tests.support.cases import texts
from tests.support.cases.making import edit
from tests.support.fakes import FakeSpec

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("onnxruntime_genai", "openvino")]
BUILDS = {
    "llama-class": cases.BOTH,
    "named-templates": cases.BOTH,
    "gemma2": {"ort": cases.BOTH["ort"]},
}
TEMPLATED = [*(f"tpl-{name}" for name in texts.TEMPLATES), "named-in-config"]


@pytest.fixture(scope="module")
def offline() -> Iterator[None]:
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    yield
    if before is None:
        del os.environ["HF_HUB_OFFLINE"]
    else:
        os.environ["HF_HUB_OFFLINE"] = before


# --- the tokenizer is the file's -------------------------------------------------------------------


def llama2(folder: Path) -> None:
    """A SentencePiece-like tokenizer.json as Llama 2 has it; transformers 5.5 loses the first of several leading spaces."""
    from tokenizers import Tokenizer, decoders, models, normalizers, processors

    vocabulary = {
        token: number for number, token in enumerate(["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a"])
    }
    made = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    made.decoder = decoders.Sequence(parts)
    made.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    _put(folder, made, "llama", tokenizer_class="LlamaTokenizer", legacy=False, add_bos_token=True, bos_token="<s>", eos_token="</s>")


def olmo(folder: Path) -> None:
    """Digits before bytes, as OLMo's; transformers 5.5 leaves the digits out."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<|endoftext|>", *alphabet, "12", "Ġa"])}
    made = Tokenizer(models.BPE(vocabulary, [("1", "2"), ("Ġ", "a")]))
    digits, whole = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([digits, whole])
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<|endoftext|>"])
    _put(folder, made, "olmo", tokenizer_class="GPTNeoXTokenizer", eos_token="<|endoftext|>")


def _put(folder: Path, made: Any, kind: str, **settings: Any) -> None:
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"model_type": kind}), encoding="utf-8")


def llama_class(folder: Path) -> None:
    cases.copy("llama-class", folder)


def right(folder: Path) -> None:
    cases.copy("gen-absent", folder)


@pytest.mark.parametrize(("put", "corrected"), [(llama_class, True), (llama2, True), (olmo, True), (right, False)])
def test_a_tokenizer_has_the_ids_of_its_file(put: Any, corrected: bool, tmp_path: Path, offline: None) -> None:
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    from bakehouse.tasks.text_generation.workers import tokenizers_loading
    from bakehouse.tasks.workers import hard_texts

    put(tmp_path / "model")
    loaded = tokenizers_loading.read(tmp_path / "model")
    made = loaded.tokenizer
    engine = Tokenizer.from_file(str(tmp_path / "model" / "tokenizer.json"))
    assert tokenizers_loading.differences(hard_texts.TEXTS, engine, made) == []
    assert bool(tokenizers_loading.differences(hard_texts.TEXTS, engine, AutoTokenizer.from_pretrained(tmp_path / "model"))) == corrected
    assert (loaded.corrected is not None) == corrected
    made.save_pretrained(tmp_path / "saved")
    assert tokenizers_loading.differences(hard_texts.TEXTS, engine, AutoTokenizer.from_pretrained(tmp_path / "saved")) == []


def test_a_token_that_no_file_names_is_not_invented(tmp_path: Path, offline: None) -> None:
    from bakehouse.tasks.text_generation.workers import tokenizers_loading

    cases.copy("gen-absent", tmp_path / "model")
    edit_copy(tmp_path / "model" / "tokenizer_config.json", tokenizer_class="GemmaTokenizer")
    edit_copy(tmp_path / "model" / "config.json", model_type="gemma")
    assert len(tokenizers_loading.load(tmp_path / "model")) == 1000


def edit_copy(path: Path, **changes: Any) -> None:
    """`edit` on a file that may be a hard link."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    edit(path, **changes)


def test_a_chat_template_names_the_end_where_no_file_does(tmp_path: Path, offline: None) -> None:
    from bakehouse.tasks.text_generation.workers import tokenizers_loading

    cases.copy("gen-absent", tmp_path / "model")
    edit_copy(tmp_path / "model" / "tokenizer_config.json", eos_token=None)
    edit_copy(tmp_path / "model" / "config.json", eos_token_id=None)
    assert tokenizers_loading.end_tokens_of(tmp_path / "model", False) == [2]
    (tmp_path / "model" / "chat_template.jinja").unlink()
    with pytest.raises(SystemExit):
        tokenizers_loading.end_tokens_of(tmp_path / "model", False)


# --- templates -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEMPLATED)
def test_every_template_is_rendered_alike_by_both_runtimes(name: str, tmp_path: Path, offline: None) -> None:
    import onnxruntime_genai as og
    import openvino_genai

    from bakehouse.backends.onnxruntime_genai.workers import stub as ort_stub
    from bakehouse.backends.onnxruntime_genai.workers import tokenizer as ort_tokenizer
    from bakehouse.backends.openvino.workers import tokenizer as openvino_tokenizer
    from bakehouse.tasks.text_generation.workers import chats, tokenizers_loading

    tokenizer = tokenizers_loading.load(cases.folder(name))
    assert chats.turn_end(tokenizer) == 2
    tokenizer.save_pretrained(tmp_path / "ov")
    openvino_tokenizer.convert(tokenizer, tmp_path / "ov")
    other = openvino_genai.Tokenizer(tmp_path / "ov")
    prompts, found = chats.compare(tokenizer, openvino_tokenizer.rendering(other), other.chat_template)
    assert prompts
    assert found == []
    tokenizer.save_pretrained(tmp_path / "ort")
    (tmp_path / "ort" / "genai_config.json").write_text(json.dumps(GENAI), encoding="utf-8")
    assert ort_tokenizer.fix_template(tokenizer, tmp_path / "ort") == (name == "tpl-parts-only")
    (tmp_path / "stub").mkdir()
    ort_stub.write(tmp_path / "ort", tmp_path / "stub")
    loaded = og.Tokenizer(og.Model(str(tmp_path / "stub")))
    assert chats.compare(tokenizer, ort_tokenizer.rendering(loaded), ort_tokenizer.template(tmp_path / "ort")) == (prompts, [])
    if name == "tpl-parts-only":
        assert all("Be brief." in prompt or "France" in prompt or "Hello." in prompt for prompt in prompts)


GENAI = {
    "model": {
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "context_length": 512,
        "type": "llama",
        "vocab_size": 1000,
        "decoder": {
            "session_options": {"provider_options": []},
            "filename": "model.onnx",
            "head_size": 16,
            "hidden_size": 64,
            "inputs": {},
            "outputs": {},
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "num_key_value_heads": 2,
        },
    },
    "search": {"max_length": 512},
}


def test_a_prompt_is_the_same_on_every_day(offline: None) -> None:
    from bakehouse.tasks.text_generation.workers import chats, tokenizers_loading

    tokenizer = tokenizers_loading.load(cases.folder("tpl-strftime"))
    assert "Today Date: 26 Jul 2024<|im_end|>" in chats.reference_prompt(tokenizer, [{"role": "user", "content": "Hi"}])


def test_a_golden_chat_that_the_template_refuses_is_reported(tmp_path: Path) -> None:
    step = Step(kind="download", maker="local", label="tiny", spec=FakeSpec())
    asked = reference.step("tiny", step, [Prompt(messages=({"role": "user", "content": "Hi"},), max_new_tokens=4)])
    said = worker.run(reference.command(asked, {"checkpoint": cases.folder("tpl-needs-system")}, tmp_path))
    assert said.code == 3, said.text
    assert said.refusal.splitlines()[:2] == snapshot(
        [
            "The model's chat template does not take one of the golden prompts.",
            "TemplateError: The first message must be a system message",
        ]
    )


# --- whole builds ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("texts"))
    cases.place(bench, *BUILDS)
    bench.write(*(cases.recipe(name, builds=builds) for name, builds in BUILDS.items()))
    bench.build("build")
    return bench


@pytest.mark.conformance
@pytest.mark.parametrize("package", [f"{name}-{build}" for name, builds in BUILDS.items() for build in builds])
def test_a_case_is_built_and_answers_with_the_tokens_of_its_source(package: str, built: Bench) -> None:
    manifest = built.manifest(package)
    for verdict in manifest.validation.verdicts:
        assert verdict.agreement.common_tokens == verdict.agreement.source_tokens


@pytest.mark.conformance
def test_the_package_says_that_its_tokenizer_was_read_from_the_file(built: Bench) -> None:
    for package, role in (("llama-class-ov", "tokenizer"), ("llama-class-ort", "model")):
        assert "LlamaTokenizer does not reproduce" in built.manifest(package).measured[role]["tokenizer_corrected"]


@pytest.mark.conformance
def test_all_chat_templates_arrive_in_the_package(built: Bench) -> None:
    packages = built.artifacts / "packages"
    for folder in (packages / "named-templates-ov", *(packages / "named-templates-ort").glob("*/*/")):
        if (folder / "tokenizer.json").exists():
            assert {path.name for path in (folder / "additional_chat_templates").iterdir()} == {"tool_use.jinja", "rag.jinja"}
            assert "helpful" in (folder / "chat_template.jinja").read_text(encoding="utf-8")


def test_an_invalid_generation_config_arrives_with_its_end_token(tmp_path: Path) -> None:
    step = Step(kind="download", maker="local", label="tiny", spec=FakeSpec())
    export = openvino.steps("tiny", _fp16(), step, "tiny", None, False)["config"]
    said = worker.run(openvino.command(export, {"checkpoint": cases.folder("gen-invalid")}, tmp_path))
    assert said.code == 0, said.text
    fields = json.loads((tmp_path / "generation_config.json").read_text(encoding="utf-8"))
    assert (fields["eos_token_id"], fields["temperature"]) == (2, 0.6)
    assert openvino.verify(export, {"checkpoint": cases.folder("gen-invalid")}, tmp_path, said.report).faults == ()


def _fp16() -> Any:
    from bakehouse.backends.openvino.options import OpenVINO

    return OpenVINO.model_validate(cases.BOTH["ov"])
