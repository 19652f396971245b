"""A tokenizer that cuts digits off before words: OpenVINO's conversion of it is wrong for indented numbers, and right as one expression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakehouse.backends.openvino.workers import tokenizer as worker
from bakehouse.tasks.text_generation.workers import hard_texts, tokenizers_loading

pytestmark = pytest.mark.model
BLANKS = ("a 1", "a   1", "\n\n  2\t3 ", "  \u00a0 4x  y", "5's 'll6 '7 s", "one\r\n   8\r\n")


@pytest.fixture
def smollm2(phi3_checkpoint: Path) -> Any:
    """SmolLM2's tokenizer, which the stand-in for Phi-3 has."""
    return tokenizers_loading.load(phi3_checkpoint)


def test_in_one_expression_the_same_tokens_come_out(smollm2: Any) -> None:
    texts = (*hard_texts.TEXTS, *BLANKS)
    before = [smollm2(text)["input_ids"] for text in texts]
    with worker.in_one_expression(smollm2) as rewritten:
        assert rewritten
        assert [smollm2(text)["input_ids"] for text in texts] == before
    assert "Digits" in smollm2.backend_tokenizer.to_str()


def test_only_in_one_expression_its_conversion_is_right(smollm2: Any, tmp_path: Path) -> None:
    smollm2.save_pretrained(tmp_path)
    worker.convert(smollm2, tmp_path)
    assert worker.wrong(worker.compare(smollm2, tmp_path))
    with worker.in_one_expression(smollm2):
        worker.convert(smollm2, tmp_path)
    assert not worker.wrong(worker.compare(smollm2, tmp_path))
