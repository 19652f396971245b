"""A recipe's quantization is the language model's; the models around it get 8 bits, and tables of which the rows are fixed none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.backends.openvino import backend as openvino
from bakehouse.backends.openvino import parts, verify
from bakehouse.backends.openvino.seams import Int8Spec
from bakehouse.formats import openvino_ir
from bakehouse.formats.checkpoint import Tensor
from tests.support.openvino_making import CHECKPOINT, Drawing, build
from tests.support.surveys import survey

LANGUAGE = "openvino_language_model"
SEEING = tuple(f"openvino_vision_embeddings{part}_model" for part in ("", "_merger", "_pos"))
SCOPE = {"ignored_scope": {"types": ("Gather",)}}


def spec(**quantization: Any) -> Any:
    return openvino.spelled_out(build(**quantization))


@pytest.mark.parametrize(
    ("quantization", "symmetric"),
    [
        ({"weights": "int8", "symmetric": True, **SCOPE}, True),
        ({"weights": "int8", "symmetric": False}, False),
        ({"weights": "int4", "group_size": 32, "ratio": 1.0, "backup_precision": "int8_sym"}, True),
        ({"weights": "int4", "group_size": 32, "ratio": 0.8, "backup_precision": "int8_asym", **SCOPE}, False),
    ],
)
def test_models_around_a_language_model_get_8_bits(quantization: dict[str, Any], symmetric: bool) -> None:
    wanted = spec(**quantization)
    assert parts.spec_of(LANGUAGE, wanted) is parts.spec_of("openvino_model", wanted) is wanted
    for name in (*SEEING, "openvino_text_embeddings_model"):
        assert parts.spec_of(name, wanted) == Int8Spec(weights="int8", symmetric=symmetric, ignored_scope=None)


def test_in_floating_point_all_models_are_the_same() -> None:
    wanted = spec(weights="fp16")
    assert all(parts.spec_of(name, wanted) is wanted for name in SEEING)


def drawn(folder: Path, element: str, table: str) -> openvino_ir.Model:
    drawing = Drawing(info={"mode": "int8_asym"})
    drawing.layer("positions", "Gather", drawing.constant("table", table, 16, 8), drawing.constant("rows", "i64", 1, 16))
    drawing.weight("q", element, 8, 8, zero_points=element == "u8")
    return openvino_ir.read(drawing.write(folder) / "openvino_model.xml")


def test_a_table_of_which_the_rows_are_fixed_stays_as_it_was_and_is_counted(tmp_path: Path) -> None:
    source, wanted = drawn(tmp_path / "source", "bf16", "bf16"), spec(weights="int8")
    good = drawn(tmp_path / "good", "u8", "bf16")
    assert verify.judge(good, source, wanted) == ()
    assert verify.measure(good, source, wanted).weights == {"bf16": 128, "int8_asym": 64}
    assert [weight.role for weight in good.weights] == ["fixed", "last"]
    in_floats = drawn(tmp_path / "float", "f16", "bf16")
    assert "the weight of positions is bf16, should be f16" in verify.judge(in_floats, source, spec(weights="fp16"))


TEXT = Tensor(name="model.language_model.layers.0.mlp.down_proj.weight", dtype="BF16", shape=(64, 128))
PICTURE = Tensor(name="model.vision_tower.layers.0.mlp.fc2.weight", dtype="BF16", shape=(64, 72))


def reasons(*tensors: Tensor, task: str = "vision-language", **quantization: Any) -> tuple[str, ...]:
    known = survey(model_type="llava").model_copy(update={"tensors": tensors})
    return openvino.preflight(build(**quantization), known, task=task)


def test_a_group_size_need_not_divide_the_channels_of_what_sees() -> None:
    four = {"weights": "int4", "group_size": 64, "ratio": 1.0}
    assert reasons(TEXT, PICTURE, **four) == ()
    assert "a group size of 64 does not divide every channel" in reasons(TEXT, TEXT.model_copy(update={"shape": (64, 72)}), **four)[0]


def test_a_pipeline_of_pictures_is_made_in_8_bits_or_in_floating_point() -> None:
    known = survey(_class_name="StableDiffusionPipeline", model_type="").model_copy(update={"tensors": (TEXT,)})
    assert openvino.preflight(build(weights="int8"), known, task="text-to-image") == ()
    assert openvino.preflight(build(weights="int4", group_size=64, ratio=1.0), known, task="text-to-image") == snapshot(
        ("models for text-to-image are made in floating point and in 8 bits: write `weights: int8`",)
    )


EMBEDDING = Tensor(name="model.language_model.embed_tokens.weight", dtype="BF16", shape=(1000, 64))


def test_an_embedding_that_the_last_layer_shares_is_in_two_models() -> None:
    known = survey(model_type="qwen2_vl").model_copy(update={"tensors": (TEXT, PICTURE, EMBEDDING)})
    alone = known.model_copy(update={"tensors": (*known.tensors, EMBEDDING.model_copy(update={"name": "lm_head.weight"}))})
    made = openvino.steps("tiny-a", build(weights="int8"), CHECKPOINT, "tiny", None, False, "vision-language")
    text = openvino.steps("tiny-a", build(weights="int8"), CHECKPOINT, "tiny", None, False)
    for role in ("config", "model"):
        assert openvino.estimate(made[role], known) == openvino.estimate(made[role], alone)
        assert openvino.estimate(text[role], known).disk_bytes < openvino.estimate(made[role], known).disk_bytes


def test_a_backup_in_floating_point_is_refused() -> None:
    assert reasons(TEXT, weights="int4", group_size=32, ratio=1.0, backup_precision="none") == snapshot(
        ("`backup_precision: none` leaves no precision for the models around the main one: write int8_sym or int8_asym",)
    )
