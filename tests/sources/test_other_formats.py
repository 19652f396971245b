"""Folders that are no checkpoint in the Hugging Face layout are called what they are, before anything is copied or downloaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.sources import local

ADAPTER = json.dumps({"peft_type": "LORA", "base_model_name_or_path": "meta-llama/Llama-3.2-1B"})


def refused(folder: Path, **files: str) -> Failure:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    with pytest.raises(Failure) as caught:
        local.files_of(folder)
    return caught.value


@pytest.mark.parametrize("more", [{}, {"config__json": "{}"}])
def test_an_adapter_is_called_one_and_its_base_model_is_named(tmp_path: Path, more: dict[str, str]) -> None:
    failure = refused(tmp_path, adapter_config__json=ADAPTER, adapter_model__safetensors="", tokenizer__json="{}", **more)
    assert failure.what == snapshot("This is an adapter (LoRA) of meta-llama/Llama-3.2-1B, a change to a model and not a model.")
    assert failure.remedy == "Let the source name its base model, and this one under `adapters` of that source."


def test_an_adapter_whose_settings_cannot_be_read_is_an_adapter_all_the_same(tmp_path: Path) -> None:
    assert refused(tmp_path, adapter_config__json="?").what.startswith("This is an adapter (LoRA), a change")


@pytest.mark.parametrize("more", [{}, {"config__json": "{}"}])
def test_mistrals_own_format_is_named(tmp_path: Path, more: dict[str, str]) -> None:
    failure = refused(tmp_path, consolidated__safetensors="", params__json="{}", tekken__json="{}", **more)
    assert failure.what == snapshot("This model is in Mistral's own format, which transformers does not read.")
    assert failure.details == ("consolidated.safetensors", "tekken.json")


def test_a_tokenizer_that_is_tekken_json_alone_is_refused_by_name(tmp_path: Path) -> None:
    failure = refused(tmp_path, config__json="{}", model__safetensors="", tekken__json="{}", consolidated__safetensors="")
    assert failure.what.startswith("There is no tokenizer.json, only tekken.json")


def test_a_checkpoint_with_mistrals_files_next_to_it_is_taken(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tekken.json", "model.safetensors", "consolidated.safetensors", "adapter_config.json"):
        (tmp_path / name).write_text("{}")
    assert set(local.files_of(tmp_path)) == {"config.json", "tokenizer.json", "model.safetensors"}
