"""Vectors are judged by their nearness to the source's, and by the text that is nearest to a query."""

from __future__ import annotations

import math
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.tasks.embeddings.golden import Search, texts
from bakehouse.tasks.embeddings.scoring import cosine, judge

GOLDEN = Search(query="bread", texts=("dough", "train"), closest="dough")
SOURCE = {"bread": (1.0, 0.0), "dough": (0.8, 0.6), "train": (0.0, 1.0)}


def test_the_cosine_is_that_of_the_angle() -> None:
    assert cosine((1.0, 0.0), (1.0, 1.0)) == pytest.approx(1 / math.sqrt(2))
    assert cosine((0.0, 0.0), (1.0, 1.0)) == 0.0


def test_vectors_of_any_length_pass_that_point_where_the_sources_do() -> None:
    found = judge(GOLDEN, {text: tuple(3 * x for x in vector) for text, vector in SOURCE.items()}, SOURCE, "fp16")
    assert found.passed and found.answer == "dough" and found.similarity is not None
    assert found.similarity.cosines == pytest.approx((0.8, 0.0)) and found.similarity.least_to_source == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        ({"dough": (0.0, 1.0), "train": (0.8, 0.6)}, 2),
        ({"dough": (0.78, 0.63)}, 0),
        ({"dough": (0.7, 0.71)}, 1),
        ({"dough": (0.0, 0.0)}, 1),
        ({"dough": (math.nan, 0.0)}, 1),
    ],
)
def test_a_vector_that_points_elsewhere_does_not_pass(changed: dict[str, Any], reasons: int) -> None:
    found = judge(GOLDEN, SOURCE | changed, SOURCE, "fp16" if reasons else "int8")
    assert len(found.reasons) == reasons and found.passed is not bool(reasons)


def test_reasons_name_the_texts_and_the_figures() -> None:
    swapped = SOURCE | {"dough": SOURCE["train"], "train": SOURCE["dough"]}
    assert judge(GOLDEN, swapped, SOURCE, "int4").reasons == snapshot(
        ("the nearest text is 'train', should be 'dough'", "a vector has cosine 0.6000 to the source's, should be 0.9 or more")
    )


def test_fewer_bits_may_be_further_away_and_the_recipe_may_say_how_far() -> None:
    away = SOURCE | {"dough": (0.95, 0.32)}  # cosine 0.95
    assert judge(GOLDEN, away, SOURCE, "int4").passed and not judge(GOLDEN, away, SOURCE, "int8").passed
    assert judge(GOLDEN.model_copy(update={"min_cosine": 0.94}), away, SOURCE, "int8").passed


def test_every_text_is_embedded_once() -> None:
    other = Search(query="dough", texts=("bread", "train"), closest="bread")
    assert texts((GOLDEN, other)) == ("bread", "dough", "train")
