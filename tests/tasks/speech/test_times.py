"""Times of segments and words are the source's where they can be, and near them elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.records import Timed
from bakehouse.tasks.speech.golden import Recording
from bakehouse.tasks.speech.scoring import judge
from bakehouse.tasks.speech.seams import Transcription
from bakehouse.tasks.speech.times import compared


def timed(*parts: tuple[str, float, float | None]) -> tuple[Timed, ...]:
    return tuple(Timed(text=text, start_s=start, end_s=end) for text, start, end in parts)


SEGMENTS = timed((" One two,", 0.0, 2.0), (" three four.", 2.0, 4.0))
LATER = timed((" One two,", 0.0, 2.0), (" three four.", 2.5, 5.5))
MERGED = timed((" One two, three four.", 0.0, 4.0))
WORDS = timed((" One", 0.0, 1.0), (" two,", 1.0, 2.0), (" three", 2.0, 3.0), (" four.", 3.0, 4.0))
OTHER_WORD = timed((" One", 0.0, 1.0), (" too,", 1.0, 2.0), (" three", 2.0, 3.0), (" four.", 3.0, 4.2))


def reasons(found: tuple[Timed, ...], source: tuple[Timed, ...], weights: str, kind: str, **others: Any) -> tuple[str, ...]:
    golden = Recording.model_validate({"audio": "a.wav", "timestamps": kind, **others})
    heard = {"tokens": (1, 2, 3, 4), "text": " One two, three four."}
    return judge(golden, Transcription(**heard, timed=found), Transcription(**heard, timed=source), weights).reasons


def test_only_what_both_have_at_the_same_word_is_compared() -> None:
    assert compared("segments", MERGED, SEGMENTS).mean_difference_s == 0.0
    found = compared("words", OTHER_WORD, WORDS)
    assert found.mean_difference_s == pytest.approx(0.2 / 6) and found.largest_difference_s == pytest.approx(0.2)
    assert compared("words", WORDS, timed((" Else", 0.0, 1.0))).mean_difference_s is None


def test_an_end_that_is_not_known_is_compared_with_nothing() -> None:
    open_end = timed((" One two,", 0.0, 2.0), (" three four.", 2.0, None))
    assert reasons(open_end, SEGMENTS, "fp16", "segments") == ()
    assert compared("segments", open_end, LATER).largest_difference_s == 0.5


def test_segments_in_floating_point_must_be_the_sources() -> None:
    assert reasons(SEGMENTS, SEGMENTS, "fp16", "segments") == ()
    assert reasons(LATER, SEGMENTS, "fp16", "segments") + reasons(MERGED, SEGMENTS, "fp32", "segments") == snapshot(
        (
            "segment 2 is heard from 2.50 s to 5.50 s, and by the source from 2.00 s to 4.00 s: in floating point both must be the same",
            "1 segments were heard, and by the source 2: in floating point they must be the same",
        )
    )


def test_with_fewer_bits_and_of_words_the_mean_distance_counts() -> None:
    assert reasons(MERGED, SEGMENTS, "int8", "segments") == reasons(OTHER_WORD, WORDS, "fp16", "words") == ()
    assert reasons(LATER, SEGMENTS, "int8", "segments") == snapshot(
        ("the segments are 0.50 seconds away from the source's in the mean, 0.3 may be",)
    )
    assert reasons(LATER, SEGMENTS, "int8", "segments", max_time_difference=0.6) == ()
    assert reasons(OTHER_WORD, WORDS, "fp16", "words", max_time_difference=0.01) != ()


def test_times_that_are_not_given_fail() -> None:
    assert reasons((), WORDS, "int8", "words") == snapshot(("no words with times were heard",))
