"""What is noteworthy of a runtime's tokenizer: known limits are measured, other differences are faults."""

from __future__ import annotations

import pytest
from inline_snapshot import snapshot

from bakehouse.tasks.text_generation.seams import TokenizerComparison, TokenizerRead
from bakehouse.tasks.text_generation.tokenizer_findings import faults, findings
from bakehouse.tasks.workers import hard_texts
from bakehouse.tasks.workers.tokenizer_difference import Difference, DifferentIds, DifferentPrompt, DifferentText

EQUAL = TokenizerComparison(texts=2, chats=0, differences=())


def compared(*differences: Difference) -> TokenizerComparison:
    """As the parent reads it from the worker's result."""
    made = TokenizerComparison(texts=9, chats=3, differences=differences)
    return TokenizerComparison.model_validate_json(made.model_dump_json(exclude_none=True))


def test_an_end_of_a_tokenizer_that_is_not_an_end_token_is_measured() -> None:
    assert findings(EQUAL, TokenizerRead(eos_token_id=2, turn_end_id=7), [2]).model_dump() == {"turn_end_unnamed": 7}
    assert findings(EQUAL, TokenizerRead(eos_token_id=2), [2]).model_dump() == {}


def _decomposed(text: str) -> list[int]:
    return [ord(character) for character in text]


def test_only_what_befalls_texts_that_are_not_composed_is_a_limit() -> None:
    import unicodedata

    def composes(text: str) -> list[int]:
        return _decomposed(unicodedata.normalize("NFC", text))

    def back(ids: list[int]) -> str:
        return "".join(map(chr, ids))

    found = hard_texts.differences(["e\u0301", "é"], (composes, back), (_decomposed, back))
    assert [case.limit for case in found] == [hard_texts.UNCOMPOSED]
    measured = findings(TokenizerComparison(texts=2, chats=0, differences=tuple(found)), TokenizerRead(), [])
    assert measured.tokenizer_limits == (f'{hard_texts.UNCOMPOSED} (1 of 2 texts: "e\u0301")',)
    wrong = hard_texts.differences(["e\u0301"], (composes, back), (lambda text: [1], back))
    assert wrong[0].limit is None


def test_only_what_befalls_a_long_run_of_characters_is_a_limit() -> None:
    def back(ids: list[int]) -> str:
        return "".join(chr(one) * (count + 1) for one, count in (divmod(number, 2) for number in ids))

    def pairs(text: str) -> list[int]:
        found = [text[at : at + 2] for at in range(0, len(text), 2)]
        return [ord(two[0]) * 2 + (len(two) - 1) for two in found]

    def cut(text: str) -> list[int]:
        return pairs(text[:99]) + pairs(text[99:])

    long, short = "a" * 120, "a" * 60
    got = hard_texts.differences(
        [long, short], (pairs, back), (lambda text: cut(text) if len(text) > 99 else pairs(text), back), cuts_runs=True
    )
    assert [(case.text, case.limit) for case in got] == [(long, hard_texts.LONG_RUN)]
    for other, cuts in ((cut, False), (lambda text: [1], True)):
        wrong = hard_texts.differences([long], (pairs, back), (other, back), cuts_runs=cuts)
        assert wrong[0].limit is None


WORDS = {1: "<s>", 2: " a", 3: " b"}


def _decoded(ids: list[int]) -> str:
    return "".join(WORDS[number] for number in ids if number != 1).removeprefix(" ")


@pytest.mark.parametrize(
    ("ids", "other", "limit"),
    [
        ([2, 3], " a b", hard_texts.FIRST_BLANK),
        ([2, 1, 3], " ab", hard_texts.NEXT_TO_SPECIAL),
        ([2, 1, 3], "a<s> b", hard_texts.NEXT_TO_SPECIAL),
        ([2, 3], "a  b", None),
        ([2, 3], "ab", None),
        ([2, 1, 3], "a c", None),
    ],
)
def test_a_decoded_text_may_differ_in_its_first_blank_and_next_to_special_tokens(ids: list[int], other: str, limit: str | None) -> None:
    def got(asked: list[int]) -> str:
        return other if asked == ids else _decoded(asked)

    (case,) = hard_texts.differences(["x"], (lambda text: ids, _decoded), (lambda text: ids, got), special={1: "<s>"})
    assert case.limit == limit


def test_what_differs_otherwise_is_one_sentence() -> None:
    known = DifferentIds("e", [1], [2], "known")
    cases = (DifferentIds("é", [1, 5], [1, 2]), known, DifferentText("é", "é", "e"), DifferentPrompt((), "Hi", None))
    assert faults("Any", compared(*cases)) == snapshot(
        [
            "the tokenizer of Any differs from transformers' in 1 of 9 texts and 1 of 3 chats: "
            '"é" has the ids [2] in place of [5] from token 1 on; "é" is decoded as "e" in place of "é"; the prompt null in place of "Hi". '
            "Build for another runtime, or take a checkpoint whose tokenizer.json this one reads"
        ]
    )
    assert faults("Any", compared(known)) == []


def test_tokens_in_angle_brackets_that_are_taken_for_bytes_are_a_limit() -> None:
    def pair(back: str) -> hard_texts.Tokenizer:
        return (lambda text: [1], lambda ids: back)

    (found,) = hard_texts.differences(["x"], pair("a<code>b <code>"), pair("a\ufffdb \ufffd"))
    assert found.limit == hard_texts.AS_A_BYTE
    (other,) = hard_texts.differences(["x"], pair("a<code>b"), pair("a\ufffdc"))
    assert other.limit is None
