"""Which tokens end an answer: the first of a checkpoint's files that names any, and a generation config that always does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakehouse.tasks.text_generation.workers import end_tokens

TOKENIZER = {"added_tokens": [{"id": 7, "content": "<end>"}], "model": {"vocab": {"a": 0, "</s>": 3}}}


def checkpoint(folder: Path, **files: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("files", "ends"),
    [
        ({"generation_config": {"eos_token_id": [5, 2]}, "config": {"eos_token_id": 9}}, [2, 5]),
        ({"generation_config": {"temperature": 0.6}, "config": {"eos_token_id": 9}}, [9]),
        ({"config": {"eos_token_id": 0}}, [0]),
        ({"config": {"eos_token_id": None, "text_config": {"eos_token_id": 4}}}, [4]),
        ({"config": {}, "tokenizer_config": {"eos_token": "<end>"}, "tokenizer": TOKENIZER}, [7]),
        ({"config": {}, "tokenizer_config": {"eos_token": {"content": "</s>"}}, "tokenizer": TOKENIZER}, [3]),
        ({"config": {}, "special_tokens_map": {"eos_token": "<end>"}, "tokenizer": TOKENIZER}, [7]),
        ({"config": {}, "tokenizer_config": {"eos_token": "<other>"}, "tokenizer": TOKENIZER}, []),
        ({"config": {}}, []),
    ],
)
def test_the_first_file_that_names_an_end_token_counts(files: dict[str, Any], ends: list[int], tmp_path: Path) -> None:
    assert end_tokens.of(checkpoint(tmp_path / "model", **files)) == ends


def test_a_generation_config_that_was_not_saved_is_the_checkpoints_with_its_end_tokens(tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "source", generation_config={"temperature": 0.6}, config={"eos_token_id": 2})
    made = checkpoint(tmp_path / "made")
    assert end_tokens.complete(source, made, [2])
    assert json.loads((made / "generation_config.json").read_text(encoding="utf-8")) == {"eos_token_id": 2, "temperature": 0.6}


def test_a_generation_config_that_names_the_end_tokens_keeps_its_bytes(tmp_path: Path) -> None:
    made = checkpoint(tmp_path / "made", generation_config={"eos_token_id": [5, 2]})
    before = (made / "generation_config.json").read_bytes()
    assert not end_tokens.complete(tmp_path, made, [2, 5])
    assert (made / "generation_config.json").read_bytes() == before
    assert end_tokens.complete(tmp_path, made, [2])
    assert json.loads((made / "generation_config.json").read_text(encoding="utf-8")) == {"eos_token_id": 2}
