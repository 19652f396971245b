"""`dequantize` in a source: where it would have no effect it is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bakehouse.recipe.source import HuggingFace, Local
from bakehouse.sources import dequantize, table
from tests.support.fakes import HUB


def test_a_plain_source_is_dumped_as_before() -> None:
    assert "dequantize" not in HuggingFace.model_validate(HUB).model_dump()
    assert "dequantize" not in Local.model_validate({"type": "local", "path": "m", "license": "MIT"}).model_dump()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [(HuggingFace, HUB | {"gguf": "model.gguf"}), (Local, {"type": "local", "path": "model.gguf", "license": "MIT"})],
)
def test_a_gguf_is_always_dequantized(kind: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="always dequantized"):
        kind.model_validate(fields | {"dequantize": True})


def test_the_checkpoint_is_a_step_of_its_own_after_the_same_download() -> None:
    plain = table.checkpoint(HuggingFace.model_validate(HUB), "tiny")
    made = table.checkpoint(HuggingFace.model_validate(HUB | {"dequantize": True}), "tiny")
    assert (made.kind, made.maker, made.need("download").key) == ("checkpoint", dequantize.MAKER, plain.key)
