"""A picture is judged by the mean difference of its colours to the source's, with a bound for each precision."""

from __future__ import annotations

import pytest
from inline_snapshot import snapshot

from bakehouse.tasks.text_to_image import pictures
from bakehouse.tasks.text_to_image.golden import Draw
from bakehouse.tasks.text_to_image.scoring import judge

GOLDEN = Draw(prompt="A loaf", steps=4, width=16, height=16)
SOURCE = bytes(3 * 16 * 16)


def apart(by: int) -> bytes:
    return bytes([by]) * len(SOURCE)


def test_the_difference_is_the_mean_over_all_colours() -> None:
    assert pictures.difference(bytes([0, 10, 255]), bytes([6, 4, 255])) == 4.0
    assert pictures.difference(b"", b"") == pictures.difference(b"a", b"aa") == 255.0


@pytest.mark.parametrize(
    ("by", "weights", "passes"), [(4, "fp16", True), (5, "fp16", False), (5, "int8", True), (12, "int8", True), (13, "int8", False)]
)
def test_a_picture_may_differ_by_as_much_as_its_precision_costs(by: int, weights: str, passes: bool) -> None:
    assert judge(GOLDEN, apart(by), SOURCE, weights).passed is passes


def test_a_recipe_may_allow_more_or_less_and_the_reason_says_how_far_it_is() -> None:
    assert judge(GOLDEN.model_copy(update={"max_difference": 20.0}), apart(15), SOURCE, "fp16").passed
    verdict = judge(GOLDEN.model_copy(update={"max_difference": 2.5}), apart(3), SOURCE, "int8")
    assert verdict.reasons == snapshot(("its colours differ from the source's picture by 3.00 of 255 on average, 2.5 may",))
    assert verdict.drawing is not None and verdict.drawing.difference == 3.0
