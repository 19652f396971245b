"""What was heard is judged by its tokens in floating point, else by its words; and by what was said."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.tasks.speech.golden import Recording
from bakehouse.tasks.speech.scoring import judge
from bakehouse.tasks.speech.seams import Transcription
from bakehouse.tasks.speech.words import word_error, words

GOLDEN = Recording(audio="a.wav", text="one two three four")
SOURCE = Transcription(tokens=(1, 2, 3, 4), text=" One, two three four.")
CHANGED = Transcription(tokens=(1, 2, 3, 5), text=" One, two three five.")
ELSE_WRITTEN = Transcription(tokens=(1, 2, 9, 3, 4), text="one two; three four")


def test_words_are_compared_without_case_and_punctuation() -> None:
    assert words(" It's ONE, two—three_four!") == "it's one two three four"
    assert word_error("ONE two, three four", "one two three four") == 0.0
    assert word_error("one two four", "one two three four") == 0.25


def test_words_where_none_are_expected_are_all_wrong() -> None:
    assert (word_error("", " ..."), word_error("one", "")) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("found", "weights", "in_use", "passes"),
    [
        (SOURCE, "fp16", False, True),
        (ELSE_WRITTEN, "fp16", False, False),
        (ELSE_WRITTEN, "fp16", True, True),
        (ELSE_WRITTEN, "int8", False, True),
        (CHANGED, "int8", False, False),
        (CHANGED, "int4", False, True),
    ],
)
def test_tokens_count_in_floating_point_and_words_in_all_else(found: Transcription, weights: str, in_use: bool, passes: bool) -> None:
    assert judge(GOLDEN, found, SOURCE, weights, in_use=in_use).passed is passes


def test_reasons_say_what_was_heard_and_how_far_it_is_away() -> None:
    assert judge(GOLDEN, CHANGED, SOURCE, "int8").reasons == snapshot(
        (
            "'One, two three five.' was heard, and by the source 'One, two three four.': 25% of the words differ, 10% may",
            "'One, two three five.' was heard: 25% of the words are not what the recipe says, 10% may be",
        )
    )
    assert judge(GOLDEN, CHANGED, SOURCE, "fp32").reasons[:1] == snapshot(
        ("'One, two three five.' was heard, and by the source 'One, two three four.': token 4 differs, and in floating point none may",)
    )


def test_a_source_that_is_wrong_itself_is_named() -> None:
    asked: dict[str, Any] = {"text": "one two three five"}
    (reason,) = judge(GOLDEN.model_copy(update=asked), SOURCE, SOURCE, "fp16").reasons
    assert reason == snapshot(
        "'One, two three four.' was heard: 25% of the words are not what the recipe says, 5% may be (the source itself is wrong in 25%)"
    )


def test_a_recipe_may_allow_more_or_less() -> None:
    assert judge(GOLDEN.model_copy(update={"max_word_error": 0.3}), CHANGED, SOURCE, "int8").passed
    assert not judge(GOLDEN.model_copy(update={"max_word_error": 0.1}), CHANGED, SOURCE, "int4").passed
