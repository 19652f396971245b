"""What is no pipeline of diffusers is refused before any work, and so is what `bakehouse run` cannot draw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.formats.checkpoint import Survey
from bakehouse.recipe.recipe import Recipe
from bakehouse.recipe.resolved import resolve
from bakehouse.tasks.text_generation import suitability
from bakehouse.tasks.text_to_image import task
from tests.support.bench import recipe

pytestmark = pytest.mark.needs_backend("openvino")
INT8 = {"runtime": "openvino", "quantization": {"weights": "int8"}}
PARTS = {name: ["diffusers", "Some"] for name in ("scheduler", "text_encoder", "tokenizer", "unet", "vae")}
CONFIG = {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.37.1", **PARTS}


def survey(**changes: Any) -> Survey:
    return Survey(download_bytes=0, config=CONFIG | changes, tensors=())


def test_a_pipeline_must_be_one_of_diffusers_own() -> None:
    assert task.unfit(survey()) == ()
    assert task.unfit(survey(_class_name=["mine", "MyPipeline"])) == snapshot(
        ("its pipeline is code of its own (mine MyPipeline), which is not run",)
    )
    assert task.unfit(Survey(download_bytes=0, config={"model_type": "llama"}, tensors=())) == snapshot(
        ("it is no pipeline of diffusers: it has no model_index.json with a `_class_name`",)
    )


def test_a_pipeline_without_a_part_is_refused(tmp_path: Path) -> None:
    content = recipe(task="text-to-image", golden=[{"prompt": "A loaf", "steps": 4}], builds={"a": INT8})
    build = resolve(Recipe.model_validate_json(json.dumps(content)), "a")
    assert task.misfits_of_files(build, tmp_path, survey(), False) == ()
    assert task.misfits_of_files(build, tmp_path, survey(unet=[None, None], vae=None), False) == snapshot(
        ("model_index.json names no unet, no vae: take another pipeline",)
    )


def test_a_pipeline_writes_no_text() -> None:
    (said,) = suitability.reasons(survey())
    assert said.startswith("StableDiffusionPipeline makes pictures (for pictures of what a text says write `task: text-to-image`)")


@pytest.mark.parametrize("words", [("A loaf",), ("A loaf", "loaf.jpg"), ("A", "loaf", "loaf.png")])
def test_run_takes_a_prompt_and_a_file(words: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(Failure, match="draws what a prompt says"):
        task.request_of(words, tmp_path, tmp_path)


def test_run_draws_into_the_file(tmp_path: Path) -> None:
    request = task.request_of(("A loaf", str(tmp_path / "loaf.png")), tmp_path, tmp_path)
    assert request.png == tmp_path / "loaf.png" and request.only_in_use
    assert task.lines_of(("A loaf", "loaf.png"), tmp_path) == ("loaf.png",)
