"""What a speech model's files do not have, and languages that it does not know, are refused before any work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from pydantic import ValidationError

from bakehouse.errors import Failure
from bakehouse.formats.checkpoint import Survey
from bakehouse.recipe.recipe import Recipe
from bakehouse.recipe.resolved import resolve
from bakehouse.records import Timed
from bakehouse.tasks.embeddings.seams import EmbedRequest
from bakehouse.tasks.speech import task
from bakehouse.tasks.speech.golden import Recording
from bakehouse.tasks.speech.seams import Heard, Recorded, TranscribeRequest, Transcription
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


def test_times_are_for_recordings_alone(tmp_path: Path) -> None:
    asked = TranscribeRequest(model=tmp_path, recordings=(Recorded(path=tmp_path / "a.wav"),), heard=tmp_path / "heard.json")
    assert [one.timestamps for one in task.with_times(asked, "words").recordings] == ["words"]
    with pytest.raises(Failure, match="--timestamps is for models of speech recognition"):
        task.with_times(EmbedRequest(model=tmp_path, texts=("a",), vectors=tmp_path / "v.json"), "words")


def test_a_line_has_the_times_of_a_segment(tmp_path: Path) -> None:
    timed = (Timed(text=" One two.", start_s=0.0, end_s=2.5), Timed(text=" Three", start_s=2.5, end_s=None))
    heard = Transcription(tokens=(1,), text=" One two. Three", timed=timed)
    (tmp_path / "heard.json").write_text(Heard(heard=(), in_use=(heard,)).model_dump_json())
    assert task.lines_of(("a.wav",), tmp_path) == snapshot(("     0.00      2.50  One two.", "     2.50            Three"))


def test_a_bound_without_times_is_refused() -> None:
    with pytest.raises(ValidationError, match="There are no times to compare"):
        Recording(audio="a.wav", max_time_difference=0.1)
