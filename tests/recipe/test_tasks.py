"""A recipe has one task: its golden inputs, runtimes and options are those of that task."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from inline_snapshot import snapshot

from bakehouse.recipe.loader import RecipeErrors, load_all
from bakehouse.recipe.recipe import Recipe
from tests.support.bench import recipe

SEARCH = {"query": "bread", "texts": ["dough", "train"], "closest": "dough"}
OPENVINO = {"runtime": "openvino", "quantization": {"weights": "int8"}}
ORT = {"runtime": "onnxruntime-genai", "execution_provider": "cpu", "quantization": {"weights": "int4"}}

pytestmark = pytest.mark.needs_backend("openvino", "onnxruntime", "onnxruntime_genai")


def embedding(**changes: Any) -> dict[str, Any]:
    return recipe(**{"task": "embeddings", "golden": [SEARCH], "builds": {"a": OPENVINO}} | changes)


RANKED = {"query": "bread", "texts": ["dough", "train"], "best": "dough"}
RECORDING = {"audio": "a.wav", "text": "hello", "language": "en", "max_word_error": 0.1}
LOOK = {"picture": "a.png", "prompt": "What is this?", "contains": ["bread"], "max_new_tokens": 8}
DRAW = {"prompt": "A loaf", "steps": 4, "width": 64}


@pytest.mark.parametrize(
    ("golden", "task"),
    [(SEARCH, "embeddings"), (RANKED, "reranker"), (RECORDING, "speech-recognition"), (LOOK, "vision-language"), (DRAW, "text-to-image")],
)
def test_a_golden_input_is_known_by_its_fields(golden: dict[str, Any], task: str, tmp_path: Any) -> None:
    made = Recipe.model_validate_json(json.dumps(recipe(task=task, golden=[golden], builds={"a": OPENVINO})))
    assert [one.task for one in made.golden] == [task]
    other = "reranker" if task == "embeddings" else "embeddings"
    assert f"This is a golden input of {task}, and the recipe's task is {other}." in errors(
        tmp_path, recipe(task=other, golden=[golden], builds={"a": OPENVINO})
    )


def errors(tmp_path: Any, content: dict[str, Any]) -> str:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(RecipeErrors) as found:
        load_all(tmp_path)
    return str(found.value).replace(tmp_path.as_posix(), "recipes")


def test_a_recipe_of_embeddings_is_well_formed() -> None:
    assert Recipe.model_validate_json(json.dumps(embedding())).task == "embeddings"
    assert "task" not in Recipe.model_validate_json(json.dumps(recipe())).model_dump()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(embedding(task="text-generation"), id="embeddings for another task"),
        pytest.param(recipe(task="embeddings"), id="prompts for embeddings"),
    ],
)
def test_a_golden_input_of_another_task_is_refused(content: dict[str, Any], tmp_path: Any) -> None:
    assert "golden input of" in errors(tmp_path, content)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"builds": {"a": ORT}}, "onnxruntime-genai makes no models for embeddings here."),
        ({"builds": {"a": OPENVINO | {"bounds": {"kl_mean": 0.2}}}}, "It would have no effect on embeddings."),
        ({"builds": {"a": OPENVINO | {"min_agreement": 4}}}, "It would have no effect on embeddings."),
        ({"evaluation": {"type": "file", "path": "texts.txt"}}, "It would have no effect: nothing is measured on texts for embeddings."),
        ({"golden": [SEARCH | {"closest": "plane"}]}, "`plane` is not among the texts."),
        ({"golden": [SEARCH | {"texts": ["dough", "dough"]}]}, "A text is named twice."),
        ({"golden": [SEARCH | {"max_new_tokens": 3}]}, "`max_new_tokens` is not a field"),
    ],
)
def test_what_would_have_no_effect_is_refused(changes: dict[str, Any], said: str, tmp_path: Any) -> None:
    assert said in errors(tmp_path, embedding(**changes))


@pytest.mark.needs_backend("openvino_npu")
def test_a_runtime_without_the_task_is_answered_with_one_that_has_it(tmp_path: Any) -> None:
    assert errors(tmp_path, embedding(builds={"a": ORT})) == snapshot("""\
recipes/tiny.yaml:16:14: onnxruntime-genai makes no models for embeddings here.
  16 |     runtime: onnxruntime-genai
     |              ^^^^^^^^^^^^^^^^^
help: Write openvino or onnxruntime or openvino-npu.

1 error in 1 recipe.\
""")
