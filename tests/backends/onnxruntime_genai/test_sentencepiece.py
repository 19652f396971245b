"""Tokenizers of SentencePiece's kind in ONNX Runtime GenAI: right for what people write, with named limits, or refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.onnxruntime_genai.workers import tokenizer as ort_tokenizer
from bakehouse.tasks.text_generation import tokenizer_findings
from bakehouse.tasks.workers import hard_texts
from bakehouse.tasks.workers.tokenizer_difference import DifferentIds, DifferentPrompt, is_limit
from tests.support import cases
from tests.support.cases import sentencepiece
from tests.tasks.text_generation.test_texts import GENAI

pytestmark = [pytest.mark.model, pytest.mark.needs_backend("openvino")]
INDENTED = "Steps:\n   1. one\n"


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The case's tokenizer in transformers, its folder as the builder leaves it, and whether that was changed for the runtime."""
    folder = tmp_path_factory.mktemp("spm")
    known: dict[str, tuple[Any, Path, bool]] = {}

    def one(name: str) -> tuple[Any, Path, bool]:
        from bakehouse.tasks.text_generation.workers import tokenizers_loading

        if name not in known:
            if name in cases.CASES:
                source = cases.folder(name)
            else:
                source = folder / "source"
                source.mkdir()
                sentencepiece.metaspace(source)
            tokenizer, files = tokenizers_loading.load(source), folder / name
            tokenizer.save_pretrained(files)
            (files / "genai_config.json").write_text(json.dumps(GENAI), encoding="utf-8")
            ort_tokenizer.fix_blanks(files)
            known[name] = tokenizer, files, ort_tokenizer.fix_words(tokenizer, files)
        return known[name]

    return one


@pytest.mark.parametrize(("name", "needed"), [("spm-llama2", True), ("spm-phi3", True), ("spm-gemma", False)])
def test_a_sentencepiece_tokenizer_is_right_but_for_limits(name: str, needed: bool, read: Any) -> None:
    tokenizer, files, changed = read(name)
    assert changed == needed
    compared = ort_tokenizer.compare(tokenizer, files, False)
    assert compared.chats >= 2
    assert tokenizer_findings.faults("ONNX Runtime GenAI", compared) == []
    assert all(map(is_limit, compared.differences))
    limits = [(case.limit, case.text) for case in compared.differences if not isinstance(case, DifferentPrompt)]
    assert {limit for limit, _ in limits} <= {hard_texts.LONG_RUN, hard_texts.FIRST_BLANK, hard_texts.NEXT_TO_SPECIAL}
    cut = {text for limit, text in limits if limit == hard_texts.LONG_RUN}
    assert cut <= {"a" * 600}


def test_without_its_correction_indented_numbers_are_other_tokens(read: Any, tmp_path: Path) -> None:
    tokenizer, files, _ = read("spm-phi3")
    for path in files.iterdir():
        if path.name != "tokenizer_module.json":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    wrong = [case for case in ort_tokenizer.compare(tokenizer, tmp_path, False).differences if not is_limit(case)]
    assert any(isinstance(case, DifferentIds) and case.text.startswith(INDENTED) for case in wrong)


def test_blanks_that_are_added_tokens_are_decoded_as_blanks(read: Any, tmp_path: Path) -> None:
    tokenizer, files, _ = read("spm-gemma")
    for path in files.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert not ort_tokenizer.fix_blanks(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((cases.folder("spm-gemma") / "tokenizer.json").read_bytes())
    (fault,) = tokenizer_findings.faults("ONNX Runtime GenAI", ort_tokenizer.compare(tokenizer, tmp_path, False))
    assert sentencepiece.BLANK * 2 in fault
    assert ort_tokenizer.fix_blanks(tmp_path)
    assert tokenizer_findings.faults("ONNX Runtime GenAI", ort_tokenizer.compare(tokenizer, tmp_path, False)) == []


def test_a_tokenizer_that_is_wrong_for_ordinary_text_is_refused_in_one_sentence(read: Any) -> None:
    tokenizer, files, changed = read("metaspace")
    assert not changed and not (files / "tokenizer_module.json").exists()
    (fault,) = tokenizer_findings.faults("ONNX Runtime GenAI", ort_tokenizer.compare(tokenizer, files, False))
    assert fault.startswith("the tokenizer of ONNX Runtime GenAI differs from transformers' in ")
    assert fault.endswith("Build for another runtime, or take a checkpoint whose tokenizer.json this one reads")
