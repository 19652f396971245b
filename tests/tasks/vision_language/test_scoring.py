"""An answer about a picture is judged by its tokens in floating point, by what it must contain, and by the tokens of the prompt."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.tasks.vision_language.golden import Look
from bakehouse.tasks.vision_language.scoring import judge
from bakehouse.tasks.vision_language.seams import Answer

GOLDEN = Look(picture="a.png", prompt="What is this?", max_new_tokens=4)
SOURCE = Answer(tokens=(1, 2, 3, 4), text="A loaf of bread", prompt_tokens=9)
CHANGED = Answer(tokens=(1, 2, 9, 9), text="A loaf of gold.", prompt_tokens=9)
SHORT = Answer(tokens=(1, 2), text="A loaf", prompt_tokens=9)


@pytest.mark.parametrize(
    ("found", "weights", "in_use", "least", "passes"),
    [
        (SOURCE, "fp16", False, 0, True),
        (CHANGED, "fp16", False, 0, False),
        (SHORT, "fp32", False, 0, False),
        (CHANGED, "fp16", True, 0, True),
        (CHANGED, "int8", False, 0, True),
        (CHANGED, "int8", False, 2, True),
        (CHANGED, "int8", False, 3, False),
        (CHANGED, "int8", True, 3, True),
        (SOURCE, "int4", False, 100, True),
    ],
)
def test_all_tokens_count_in_floating_point_and_as_many_as_wanted_else(
    found: Answer, weights: str, in_use: bool, least: int, passes: bool
) -> None:
    assert judge(GOLDEN.model_copy(update={"min_tokens": least}), found, SOURCE, weights, in_use=in_use).passed is passes


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"tokens": (), "text": " "}, snapshot(("the answer is empty",))),
        (
            {"prompt_tokens": 7},
            snapshot(
                (
                    "the runtime makes 7 tokens of the picture and the prompt, transformers 9: its chat template, its tokenizer or its way "
                    "to cut pictures differs",
                )
            ),
        ),
        ({"text": "A stone"}, snapshot(("the answer does not contain 'bread'",))),
    ],
)
def test_an_answer_must_be_one_to_the_same_prompt_and_contain_what_it_should(changes: dict[str, Any], reasons: tuple[str, ...]) -> None:
    golden = GOLDEN.model_copy(update={"contains": ("bread",) if "stone" in str(changes) else ()})
    assert judge(golden, SOURCE.model_copy(update=changes), SOURCE, "int8").reasons == reasons


def test_reasons_say_where_tokens_part_and_whether_the_source_is_wrong_too() -> None:
    golden = GOLDEN.model_copy(update={"contains": ("cat",)})
    assert judge(golden, CHANGED, SOURCE, "fp16").reasons == snapshot(
        (
            "'A loaf of gold.' is answered, and by the source 'A loaf of bread': token 3 differs, and all must be the same",
            "the answer does not contain 'cat' (neither does the source's)",
        )
    )


def test_an_answer_as_long_as_it_may_be_did_not_end_by_itself() -> None:
    assert not judge(GOLDEN, SOURCE, SOURCE, "fp16").ended and judge(GOLDEN, SHORT, SHORT, "fp16").ended
