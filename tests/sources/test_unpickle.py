"""Pickled weights become safetensors; a pickle that holds more than weights is not read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bakehouse.recipe.source import HuggingFace
from bakehouse.sources import huggingface, table, unpickle
from bakehouse.sources.seams import UnpickleRequest, UnpickleResult
from bakehouse.steps.maker import worker
from bakehouse.steps.seam import Report
from bakehouse.steps.step import Step
from tests.support import worker as children
from tests.support.fakes import HUB

pytestmark = pytest.mark.model


def checkpoint(folder: Path, **files: Any) -> Path:
    import torch

    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    for name, content in files.items():
        torch.save(content, folder / f"{name}.bin")
    return folder


def convert(source: Path, files: Path) -> children.Said:
    files.mkdir()
    return children.run(worker("sources.workers.unpickle", request=UnpickleRequest(checkpoint=source, files=files)))


def verified(source: Path, files: Path, said: children.Said) -> tuple[str, ...]:
    download = Step(kind="download", maker="local", label="tiny", spec=unpickle.UnpickleSpec())
    return unpickle.verify(unpickle.checkpoint(download, "tiny"), {"download": source}, files, said.report).faults


def test_tied_weights_and_every_value_are_kept(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    embedding = torch.randn(8, 4).bfloat16()
    held = {"embed.weight": embedding, "lm_head.weight": embedding, "norm.weight": torch.ones(4), "h.T": torch.arange(6.0).view(2, 3).T}
    source = checkpoint(tmp_path / "source", pytorch_model=held)
    said = convert(source, tmp_path / "files")
    found = load_file(tmp_path / "files" / "model.safetensors")
    assert found.keys() == held.keys() and all(torch.equal(found[name], held[name]) for name in held)
    assert verified(source, tmp_path / "files", said) == ()
    assert not list((tmp_path / "files").glob("*.bin"))


def test_several_files_with_an_index_become_one_checkpoint(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    parts = {"pytorch_model-00001-of-00002": {"a": torch.ones(2)}, "pytorch_model-00002-of-00002": {"b": torch.zeros(3)}}
    source = checkpoint(tmp_path / "source", **parts)
    index = {"weight_map": {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}}
    (source / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    said = convert(source, tmp_path / "files")
    assert load_file(tmp_path / "files" / "model.safetensors").keys() == {"a", "b"}
    assert said.report.read(UnpickleResult).tensors == 2 and verified(source, tmp_path / "files", said) == ()


class Evil:
    """What runs a command when a pickle of it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ran",)


def test_a_pickle_with_code_is_refused_and_the_code_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = checkpoint(tmp_path / "source", pytorch_model={"a": Evil()})
    said = convert(source, tmp_path / "files")
    assert said.refusal.startswith("pytorch_model.bin holds more than weights, so it is not read.")
    assert not list(tmp_path.rglob("ran")) and not list((tmp_path / "files").glob("*.safetensors"))


def test_what_is_no_pickle_of_named_tensors_is_refused(tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "source", pytorch_model={"step": 3})
    assert convert(source, tmp_path / "files").refusal.startswith("pytorch_model.bin is not a set of named tensors.")
    (source / "pytorch_model.bin").write_bytes(b"<html>404</html>")
    assert convert(source, tmp_path / "more").refusal.startswith(("pytorch_model.bin cannot be read", "pytorch_model.bin holds more"))


def test_the_key_of_a_download_without_pickles_is_as_before_and_of_one_with_them_another() -> None:
    plain, pickled = (HuggingFace.model_validate(HUB | more) for more in ({}, {"convert_pickles": True}))
    assert "pickles" not in huggingface.download(plain, "tiny").options
    assert table.survey(plain, "tiny") is not None and table.survey(pickled, "tiny") is None
    made = table.checkpoint(pickled, "tiny")
    assert (made.maker, made.need("download").options["pickles"]) == ("unpickle", True)


def test_a_quantized_pickle_is_converted_first() -> None:
    made = table.checkpoint(HuggingFace.model_validate(HUB | {"convert_pickles": True, "dequantize": True}), "tiny")
    assert (made.maker, made.need("download").maker) == ("dequantize", "unpickle")
    assert Report({"tensors": 1}).read(UnpickleResult).tensors == 1
