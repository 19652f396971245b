"""A tokenizer that cuts digits off before words: OpenVINO's conversion is wrong for indented numbers, and right by equal expressions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.openvino.workers import tokenizer as worker
from bakehouse.tasks.text_generation.workers import tokenizers_loading
from bakehouse.tasks.workers import hard_texts

pytestmark = pytest.mark.model
BLANKS = ("a 1", "a   1", "\n\n  2\t3 ", "  \u00a0 4x  y", "5's 'll6 '7 s", "one\r\n   8\r\n")


@pytest.fixture
def smollm2(phi3_checkpoint: Path) -> Any:
    """SmolLM2's tokenizer, which the stand-in for Phi-3 has."""
    return tokenizers_loading.load(phi3_checkpoint)


def like_deepseek(tokenizer: Any) -> None:
    """Have a byte-level tokenizer cut as DeepSeek V3's does: numbers of three digits, then Chinese and Japanese, then words."""
    from tokenizers import Regex, pre_tokenizers

    words = r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    cuts = [pre_tokenizers.Split(Regex(one), "isolated") for one in (r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u30ff]+", words)]
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*cuts, pre_tokenizers.ByteLevel(False, use_regex=False)])


@pytest.fixture(params=["digits", "splits"])
def cutting(request: pytest.FixtureRequest, smollm2: Any) -> Any:
    """SmolLM2's tokenizer with its own cuts, and with DeepSeek's."""
    if request.param == "splits":
        like_deepseek(smollm2)
    return smollm2


def test_by_equal_expressions_the_same_tokens_come_out(cutting: Any) -> None:
    smollm2 = cutting
    texts = (*hard_texts.TEXTS, *BLANKS)
    before = [smollm2(text)["input_ids"] for text in texts]
    pieces = smollm2.backend_tokenizer.to_str()
    with worker.not_looking_beyond(smollm2) as rewritten:
        assert rewritten
        assert smollm2.backend_tokenizer.to_str() != pieces
        assert [smollm2(text)["input_ids"] for text in texts] == before
    assert smollm2.backend_tokenizer.to_str() == pieces


def test_only_by_equal_expressions_its_conversion_is_right(cutting: Any, tmp_path: Path) -> None:
    cutting.save_pretrained(tmp_path)
    worker.convert(cutting, tmp_path)
    assert worker.wrong(worker.compare(cutting, tmp_path))
    with worker.not_looking_beyond(cutting):
        worker.convert(cutting, tmp_path)
    assert not worker.wrong(worker.compare(cutting, tmp_path))


def test_steps_of_other_kinds_stay_as_they_are() -> None:
    words = {"type": "Split", "pattern": {"Regex": r"\p{L}+|\s+(?!\S)|\s+"}, "behavior": "Isolated", "invert": False}
    bytes_of = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    assert worker.equal_steps([words, bytes_of]) is None  # one step: there is nothing beyond
    assert worker.equal_steps([words | {"behavior": "Removed"}, words, bytes_of]) is None
    assert worker.equal_steps([]) is None
