"""What a vision-language model's files do not have is refused before any work, and so is what `bakehouse run` cannot give it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.errors import Failure
from bakehouse.formats.checkpoint import Survey
from bakehouse.recipe.recipe import Recipe
from bakehouse.recipe.resolved import resolve
from bakehouse.tasks.vision_language import task
from tests.support import vision
from tests.support.bench import recipe

pytestmark = pytest.mark.needs_backend("openvino")
SURVEY = Survey(download_bytes=0, config={"model_type": "llava"}, tensors=())
INT8 = {"runtime": "openvino", "quantization": {"weights": "int8"}}


def misfits(folder: Path, *names: str) -> tuple[str, ...]:
    content = recipe(task="vision-language", golden=[{"picture": "a.png", "prompt": "What is this?"}], builds={"a": INT8})
    for name in names:
        (folder / name).write_text("{}")
    return task.misfits_of_files(resolve(Recipe.model_validate_json(json.dumps(content)), "a"), folder, SURVEY, False)


@pytest.mark.parametrize("processor", ["preprocessor_config.json", "processor_config.json"])
@pytest.mark.parametrize("template", ["chat_template.jinja", "chat_template.json"])
def test_a_checkpoint_must_say_how_it_sees_and_how_prompts_are_written(processor: str, template: str, tmp_path: Path) -> None:
    assert misfits(tmp_path) == snapshot(("it has no preprocessor_config.json and no chat_template.jinja: take a complete checkpoint",))
    assert misfits(tmp_path, processor) == snapshot(("it has no chat_template.jinja: take a complete checkpoint",))
    assert misfits(tmp_path, template) == ()


@pytest.mark.parametrize("words", [("a.png",), ("a.png", "What", "is this?"), ()])
def test_run_takes_a_picture_and_a_prompt(words: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(Failure, match="answers a prompt about a picture"):
        task.request_of(words, tmp_path, tmp_path)


def test_run_refuses_what_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="The picture cannot be used: it is not a picture that can be read"):
        task.request_of(("absent.png", "What is this?"), tmp_path, tmp_path)
    request = task.request_of((str(vision.picture(tmp_path / "a.png", 8, 8)), "What is this?"), tmp_path, tmp_path)
    assert request.only_in_use and request.questions[0].prompt == "What is this?"
