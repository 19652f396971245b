"""What OpenVINO has of each task: which models it is shown to make, and which files lie next to them."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.openvino import backend as openvino
from bakehouse.backends.openvino import forms
from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.tasks.table import DIRECT, TASKS
from tests.support.openvino_making import CHECKPOINT, build
from tests.support.surveys import survey

KINDS = {"embeddings": "bert", "reranker": "xlm-roberta", "speech-recognition": "whisper", "vision-language": "llava"}
DRAWING = tuple(f"{part}/openvino_model" for part in ("text_encoder", "unet", "vae_decoder", "vae_encoder"))
OF_PIPELINE = ("model_index.json", "scheduler/scheduler_config.json", *(f"{one.partition('/')[0]}/config.json" for one in DRAWING))


def test_every_task_has_a_form_but_that_of_models_that_write_text() -> None:
    assert set(forms.FORMS) == set(TASKS) - {"text-generation"} == set(DIRECT)
    assert set(OpenVINO.tasks) == set(TASKS)


@pytest.mark.parametrize("task", KINDS)
def test_models_that_were_measured_fit_and_others_are_tried_on_request(task: str) -> None:
    asked, known, other = build(weights="int8"), survey(model_type=KINDS[task]), survey(model_type="mine")
    assert openvino.preflight(asked, known, task=task) == ()
    (reason,) = openvino.preflight(asked, other, task=task)
    assert reason.startswith(f"no export of models of type mine for {task} has been shown to work")
    assert openvino.preflight(asked.model_copy(update={"unknown_architecture": "try"}), other, task=task) == ()


def test_another_release_of_transformers_is_refused() -> None:
    known = survey(model_type="whisper")
    assert openvino.preflight(build(weights="int8"), known, "transformers-5.0", "speech-recognition") == snapshot(
        (
            "optimum-intel 2.1 makes models of type whisper for speech-recognition with the toolchain transformers-5.5, "
            "not with transformers-5.0: leave `toolchain:` out of the recipe",
        )
    )


def test_the_toolchain_of_a_model_depends_on_the_task_as_well() -> None:
    known, asked = survey(model_type="qwen2_vl"), build(weights="int8")
    assert openvino.toolchains(known.config, "vision-language") == ("transformers-5.0",)
    assert openvino.toolchains(known.config) == ()
    assert openvino.preflight(asked, known, "transformers-5.0", "vision-language") == ()
    assert openvino.preflight(asked, known, task="vision-language") == snapshot(
        (
            "optimum-intel 2.1 makes models of type qwen2_vl for vision-language with the toolchain transformers-5.0, "
            "not with transformers-5.5: write `toolchain: transformers-5.0` into the recipe",
        )
    )


def test_a_type_that_the_runtime_does_not_load_is_not_tried_either() -> None:
    asked = build(weights="int8").model_copy(update={"unknown_architecture": "try"})
    for toolchain in ("transformers-5.5", "transformers-4.57"):
        assert openvino.preflight(asked, survey(model_type="smolvlm"), toolchain, "vision-language") == snapshot(
            ("OpenVINO GenAI 2026.4 does not run such models, whoever exports them: it says \"Unsupported 'smolvlm' VLM model type\"",)
        )


def test_what_a_model_consists_of_depends_on_its_type() -> None:
    form = forms.FORMS["vision-language"]
    assert form.components_of("llava") == form.components == SEEING
    assert form.components_of("qwen2_vl") == (*SEEING, "openvino_vision_embeddings_merger_model")
    assert form.components_of("qwen3_vl") == (*form.components_of("qwen2_vl"), "openvino_vision_embeddings_pos_model")


@pytest.mark.parametrize("task", KINDS)
def test_the_steps_of_a_task_are_its_own(task: str) -> None:
    made = openvino.steps("tiny-a", build(weights="int8"), CHECKPOINT, "tiny", None, False, task)
    text = openvino.steps("tiny-a", build(weights="int8"), CHECKPOINT, "tiny", None, False)
    assert forms.of(made["config"].spec) is forms.of(made["tokenizer"].spec) is forms.FORMS[task]
    assert forms.of(text["config"].spec) is None
    assert not {step.key for step in made.values()} & {step.key for step in text.values()}


CONFIGS = ("config.json", "generation_config.json")
SEEING = ("openvino_language_model", "openvino_text_embeddings_model", "openvino_vision_embeddings_model")
EMBEDDING = ("config.json", "modules.json", "1_Pooling/config.json")


@pytest.mark.parametrize(
    ("models", "beside", "known"),
    [
        (("openvino_model",), CONFIGS, False),
        (("openvino_model",), CONFIGS[:1], True),
        (("openvino_model",), EMBEDDING, True),
        (("openvino_encoder_model", "openvino_decoder_model"), (*CONFIGS, "preprocessor_config.json"), True),
        (SEEING, (*CONFIGS, "preprocessor_config.json"), True),
        (DRAWING, OF_PIPELINE, True),
        (SEEING, (*CONFIGS, "preprocessor_config.json", "processor_config.json"), True),
    ],
)
def test_what_lies_next_to_models_is_known_by_the_files(
    models: tuple[str, ...], beside: tuple[str, ...], known: bool, tmp_path: Path
) -> None:
    for name in (*(f"{one}.xml" for one in models), *beside):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = forms.layout(tmp_path)
    assert (None if found is None else set(found)) == (set(beside) if known else None)
