"""What a speech model's files do not have, and languages that it does not know, are refused before any work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.formats.checkpoint import Survey
from bakehouse.recipe.recipe import Recipe
from bakehouse.recipe.resolved import resolve
from bakehouse.tasks.speech import task
from tests.support.bench import recipe

pytestmark = pytest.mark.needs_backend("openvino")
SURVEY = Survey(download_bytes=0, config={"model_type": "whisper"}, tensors=())
INT8 = {"runtime": "openvino", "quantization": {"weights": "int8"}}


def misfits(folder: Path, generation: Any, language: str | None = None) -> tuple[str, ...]:
    golden = {"audio": "a.wav", **({"language": language} if language else {})}
    content = recipe(task="speech-recognition", golden=[golden], builds={"a": INT8})
    if generation is not None:
        (folder / "preprocessor_config.json").write_text("{}")
        (folder / "generation_config.json").write_text(json.dumps(generation))
    return task.misfits_of_files(resolve(Recipe.model_validate_json(json.dumps(content)), "a"), folder, SURVEY, False)


def test_a_checkpoint_must_say_how_it_hears_and_writes(tmp_path: Path) -> None:
    assert misfits(tmp_path, None) == snapshot(
        (
            "it has no preprocessor_config.json: take a complete checkpoint",
            "it has no generation_config.json, which says how Whisper begins and ends a text: take a complete checkpoint",
        )
    )


@pytest.mark.parametrize(
    ("generation", "language", "fits"),
    [
        ({"is_multilingual": True, "lang_to_id": {"<|de|>": 1}}, "de", True),
        ({"is_multilingual": True, "lang_to_id": {"<|de|>": 1}}, "en", False),
        ({"is_multilingual": False}, "en", False),
        ({"is_multilingual": False}, None, True),
    ],
)
def test_a_language_must_be_one_of_the_models(generation: Any, language: str | None, fits: bool, tmp_path: Path) -> None:
    assert bool(misfits(tmp_path, generation, language)) is not fits


def test_a_quantized_checkpoint_is_refused() -> None:
    quantized = SURVEY.model_copy(update={"config": {"model_type": "whisper", "quantization_config": {"quant_method": "gptq"}}})
    assert "the checkpoint is quantized already" in task.unfit(quantized)[0] and task.unfit(SURVEY) == ()
