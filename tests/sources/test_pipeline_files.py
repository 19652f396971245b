"""A folder with a pipeline of diffusers is a checkpoint: its models, tokenizer and scheduler, each in a folder of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.formats import safetensors_files
from bakehouse.formats.checkpoint import read_checkpoint
from bakehouse.sources.workers import checkpoint_files
from bakehouse.sources.workers.unfit import Unfit
from tests.app.test_init import weights

UNET, TEXT = "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"
INDEX: dict[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "safety_checker": ["stable_diffusion", "SafetyChecker"],
    "image_encoder": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
}


def pipeline(folder: Path) -> Path:
    for name in ("scheduler/scheduler_config.json", "tokenizer/vocab.json", "tokenizer/merges.txt", "unet/config.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    for name in ("text_encoder", "safety_checker"):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text("{}")
    (folder / "model_index.json").write_text(json.dumps(INDEX))
    (folder / "LICENSE.md").write_text("MIT")
    (folder / "unet" / "notes.txt").write_text("mine")
    weights(folder / UNET, {"conv_in.weight": (8, 4, 3, 3)})
    weights(folder / TEXT, {"embeddings.weight": (16, 8)})
    weights(folder / "safety_checker" / "model.safetensors", {"head.weight": (8, 8)})
    return folder


def test_the_parts_of_a_pipeline_belong_to_it_without_its_safety_checker(tmp_path: Path) -> None:
    assert sorted(checkpoint_files.belonging(pipeline(tmp_path))) == snapshot(
        [
            "LICENSE.md",
            "model_index.json",
            "scheduler/scheduler_config.json",
            "text_encoder/config.json",
            "text_encoder/model.safetensors",
            "tokenizer/merges.txt",
            "tokenizer/vocab.json",
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors",
        ]
    )


def test_the_weights_of_all_its_models_are_surveyed(tmp_path: Path) -> None:
    for path in (pipeline(tmp_path) / "safety_checker").iterdir():
        path.unlink()
    found = read_checkpoint(tmp_path)
    assert found.parameters == 8 * 4 * 9 + 16 * 8 and found.config["_class_name"] == "StableDiffusionPipeline"
    assert [tensor.name for tensor in found.tensors] == ["text_encoder/embeddings.weight", "unet/conv_in.weight"]
    assert safetensors_files.faults(tmp_path) == ()


def test_shards_are_found_by_their_index(tmp_path: Path) -> None:
    folder = pipeline(tmp_path)
    (folder / UNET).rename(folder / "unet" / "part-1.safetensors")
    listing = {"weight_map": {"conv_in.weight": "part-1.safetensors"}}
    (folder / f"{UNET}.index.json").write_text(json.dumps(listing))
    found = checkpoint_files.belonging(folder)
    assert {"unet/part-1.safetensors", f"{UNET}.index.json"} <= found.keys()
    (folder / "unet" / "part-1.safetensors").unlink()
    with pytest.raises(Unfit, match=r"unet/part-1.safetensors is missing"):
        checkpoint_files.belonging(folder)


def test_a_model_without_safetensors_is_refused(tmp_path: Path) -> None:
    (pipeline(tmp_path) / UNET).rename(tmp_path / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(Unfit) as refused:
        checkpoint_files.belonging(tmp_path)
    assert refused.value.what == snapshot("unet has no weights in safetensors.")
    assert "diffusion_pytorch_model.bin" in refused.value.details


def test_a_part_that_is_not_described_is_refused(tmp_path: Path) -> None:
    (pipeline(tmp_path) / "scheduler" / "scheduler_config.json").unlink()
    with pytest.raises(Unfit, match=r"model_index.json names scheduler, and there is no description of it"):
        checkpoint_files.belonging(tmp_path)


def test_a_pipeline_on_the_hub_is_answered_with_how_to_take_it() -> None:
    with pytest.raises(Unfit) as refused:
        checkpoint_files.beside_weights(["model_index.json", UNET])
    assert refused.value.what == snapshot("This is a pipeline of diffusers, which is taken from a folder only.")
    assert "hf download REPO" in refused.value.remedy
