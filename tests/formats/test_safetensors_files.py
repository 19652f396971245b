"""What a damaged checkpoint's headers and index say is a sentence, and leads to no file elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakehouse.errors import Failure
from bakehouse.formats import checkpoint, safetensors_files


def test_a_header_that_is_nested_too_deep_is_none() -> None:
    with pytest.raises(safetensors_files.NotSafetensors):
        safetensors_files.entries(b'{"a":' * 100_000)


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": 3, "shape": [1], "data_offsets": [0, 2]},
        {"dtype": "F16", "shape": [-1], "data_offsets": [0, 2]},
        {"dtype": "F16", "shape": [1 << 64], "data_offsets": [0, 2]},
        {"dtype": "F16", "shape": [1], "data_offsets": [4, 2]},
        {"dtype": "F16", "shape": [1], "data_offsets": [0, 2, 4]},
        "F16",
    ],
)
def test_a_tensor_that_cannot_be_is_refused(tensor: Any) -> None:
    with pytest.raises(safetensors_files.NotSafetensors, match="its header cannot be read"):
        safetensors_files.entries(json.dumps({"a": tensor}).encode())


@pytest.mark.parametrize("name", ["../secret", "a/b", "..", "", "x" * 300, "\x00"])
def test_an_index_names_files_next_to_it_only(tmp_path: Path, name: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    (tmp_path / "config.json").write_text("{}")
    said = safetensors_files.faults(tmp_path)
    assert said[-1] == f"model.safetensors.index.json is not an index of weights: it names {name[:80]!r}, which is no file beside it."
    with pytest.raises(Failure, match="The checkpoint is not complete"):
        checkpoint.read_checkpoint(tmp_path)


def test_an_index_of_files_that_are_missing_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "a.safetensors"}}')
    with pytest.raises(Failure) as caught:
        checkpoint.read_checkpoint(tmp_path)
    assert "a.safetensors is missing." in caught.value.details


@pytest.mark.parametrize("config", ["", "[]", "[" * 100_000, "\ud800"])
def test_a_config_that_cannot_be_read_is_a_sentence(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_bytes(config.encode(errors="surrogatepass"))
    with pytest.raises(Failure, match="The checkpoint is not complete"):
        checkpoint.read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("settings", "chats"),
    [
        ('{"chat_template": "x"}', True),
        ('{"chat_template": [{"name": "default"}]}', True),
        ('{"chat_template": ["x", {"name": "tool"}]}', False),
        ('{"chat_template": null}', False),
        ("[]", False),
        ("{", False),
    ],
)
def test_a_chat_template_is_looked_for_whatever_the_settings_are(tmp_path: Path, settings: str, chats: bool) -> None:
    (tmp_path / "tokenizer_config.json").write_text(settings)
    assert checkpoint.has_chat_template(tmp_path) is chats
