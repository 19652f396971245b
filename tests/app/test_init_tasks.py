"""`bakehouse init` of models that do not write text: the task is known by the files, and the recipe has a golden input for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakehouse.app.main import main
from bakehouse.recipe import loader
from bakehouse.tasks.speech.golden import Recording
from bakehouse.tasks.vision_language.golden import Look
from tests.app.test_init import COMMIT, here, weights
from tests.formats.test_wav import written
from tests.support import vision
from tests.support.hub import Hub

__all__ = ["here"]  # a fixture
pytestmark = pytest.mark.needs_backend("openvino", "onnxruntime")
SHAPES = {"embeddings.word_embeddings.weight": (64, 32), "encoder.layer.0.output.dense.weight": (32, 32)}
POOLING = {"pooling_mode_mean_tokens": True}
MODULES = [
    {"path": "", "type": "sentence_transformers.models.Transformer"},
    {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


def checkpoint(folder: Path, config: dict[str, Any], **others: Any) -> Path:
    """A checkpoint by its files, with some weights."""
    (folder / "1_Pooling").mkdir(parents=True)
    weights(folder / "model.safetensors", SHAPES)
    for name, value in {"config.json": config, "tokenizer.json": {}, "tokenizer_config.json": {}, **others}.items():
        (folder / name).write_text(json.dumps(value))
    return folder


def embedding(folder: Path) -> Path:
    made = checkpoint(folder, {"model_type": "bert", "architectures": ["BertModel"]}, **{"modules.json": MODULES})
    (made / "1_Pooling" / "config.json").write_text(json.dumps(POOLING))
    return made


def reranker(folder: Path, labels: int = 1) -> Path:
    config = {"model_type": "bert", "architectures": ["BertForSequenceClassification"], "id2label": {str(n): str(n) for n in range(labels)}}
    return checkpoint(folder, config)


def speech(folder: Path) -> Path:
    config = {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"]}
    return checkpoint(folder, config, **{"preprocessor_config.json": {}, "generation_config.json": {"is_multilingual": True}})


def seeing(folder: Path, kind: str = "llava") -> Path:
    config = {"model_type": kind, "architectures": ["LlavaForConditionalGeneration"], "vision_config": {}}
    made = checkpoint(folder, config, **{"preprocessor_config.json": {}, "generation_config.json": {"eos_token_id": 2}})
    (made / "chat_template.jinja").write_text("{{ messages }}")
    return made


@pytest.mark.parametrize("words", [(), ("--prompt", "A cat", "--contains", "cat")])
def test_a_pipeline_of_diffusers_gets_a_prompt_to_draw(words: tuple[str, ...], here: Path, capsys: Any) -> None:
    folder = here / "mine"
    parts = {name: ["diffusers", "Some"] for name in ("scheduler", "text_encoder", "tokenizer", "unet", "vae")}
    for name in parts:
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text("{}")
        weights(folder / name / "model.safetensors", {"a.weight": (64, 64)})
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline", **parts}))
    done = main(["init", str(folder), "--yes", *words])
    if words:
        assert done == 1 and "--prompt is for models that write text, and this is one of text-to-image." in capsys.readouterr().err
        return
    recipe = loader.load(here / "recipes" / "mine.yaml")
    assert (done, recipe.task, list(recipe.builds)) == (0, "text-to-image", ["int8-openvino"])


@pytest.mark.parametrize(("make", "task"), [(embedding, "embeddings"), (reranker, "reranker")])
def test_a_model_that_compares_texts_gets_a_golden_input_of_its_task(make: Any, task: str, here: Path) -> None:
    assert main(["init", str(make(here / "models" / "mine")), "--yes"]) == 0
    recipe = loader.load(here / "recipes" / "mine.yaml")
    assert (recipe.task, [one.task for one in recipe.golden]) == (task, [task])
    assert {options.runtime for options in recipe.builds.values()} == {"openvino", "onnxruntime"}


def test_a_speech_model_gets_the_recording_that_is_named(here: Path) -> None:
    (here / "recipes").mkdir()
    written(here / "recipes" / "a.wav")
    assert main(["init", str(speech(here / "mine")), "--yes", "--audio", "recipes/a.wav"]) == 0
    recipe = loader.load(here / "recipes" / "mine.yaml")
    (golden,) = recipe.golden
    assert recipe.task == "speech-recognition" and isinstance(golden, Recording) and golden.audio == "a.wav"


@pytest.mark.parametrize("words", [(), ("--prompt", "What is this?", "--contains", "bread")])
def test_a_vision_language_model_gets_the_picture_that_is_named(words: tuple[str, ...], here: Path) -> None:
    (here / "recipes").mkdir()
    vision.picture(here / "recipes" / "a.png", 8, 8)
    assert main(["init", str(seeing(here / "mine")), "--yes", "--picture", "recipes/a.png", *words]) == 0
    recipe = loader.load(here / "recipes" / "mine.yaml")
    (golden,) = recipe.golden
    assert recipe.task == "vision-language" and isinstance(golden, Look) and golden.picture == "a.png"
    assert (golden.prompt, golden.contains) == (("What is this?", ("bread",)) if words else ("Describe this picture.", ()))


@pytest.mark.parametrize(("kind", "toolchain"), [("llava", "transformers-5.5"), ("qwen2_vl", "transformers-5.0")])
def test_the_toolchain_is_the_one_that_makes_the_model_for_its_task(kind: str, toolchain: str, here: Path) -> None:
    (here / "recipes").mkdir()
    vision.picture(here / "recipes" / "a.png", 8, 8)
    assert main(["init", str(seeing(here / "mine", kind)), "--yes", "--picture", "recipes/a.png"]) == 0
    assert loader.load(here / "recipes" / "mine.yaml").toolchain == toolchain


@pytest.mark.parametrize(
    ("make", "words", "what"),
    [
        (speech, (), "every build of it must write down a recording"),
        (speech, ("--audio", "absent.wav"), "The recording cannot be used"),
        (embedding, ("--audio", "a.wav"), "--audio is for speech models, and this is one of embeddings."),
        (seeing, (), "every build of it must answer one"),
        (seeing, ("--picture", "absent.png"), "The picture cannot be used"),
        (speech, ("--picture", "a.png"), "--picture is for vision-language models, and this is one of speech-recognition."),
        (embedding, ("--prompt", "a", "--contains", "b"), "--prompt is for models that write text, and this is one of embeddings."),
        pytest.param(
            embedding,
            ("--runtime", "onnxruntime-genai"),
            "onnxruntime-genai makes no models for embeddings here.",
            marks=pytest.mark.needs_backend("onnxruntime_genai"),
        ),
    ],
)
def test_words_for_another_task_are_refused(make: Any, words: tuple[str, ...], what: str, here: Path, capsys: Any) -> None:
    assert main(["init", str(make(here / "mine")), "--yes", *words]) == 1
    assert what in capsys.readouterr().err
    assert not (here / "recipes" / "mine.yaml").exists()


def test_a_classifier_is_no_reranker(here: Path, capsys: Any) -> None:
    assert main(["init", str(reranker(here / "mine", labels=3)), "--yes"]) == 1
    assert "it gives 3 numbers (id2label), and a reranker gives one" in capsys.readouterr().err


@pytest.mark.whole
@pytest.mark.parametrize(("make", "task"), [(embedding, "embeddings"), (reranker, "reranker")])
def test_a_repository_of_the_hub_is_recognised_too(make: Any, task: str, here: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.serve(make(here.parent / "model"), "bakers/Tiny", COMMIT)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert main(["init", "bakers/Tiny", "--yes", "--name", "mine"]) == 0
    assert loader.load(here / "recipes" / "mine.yaml").task == task
