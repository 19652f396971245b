"""The text on which fidelity is measured, and its windows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from bakehouse.tasks import text_generation
from bakehouse.tasks.text_generation.workers import fidelity_text
from bakehouse.tasks.text_generation.workers.fidelity_text import FIRST_SCORED, LONGEST, OWN, Passage, Window

BEGIN, END = 1000, 1001
Encode = Callable[[str], list[int]]


def letters(text: str) -> list[int]:
    """A tokenizer of one token a letter, without special tokens."""
    return [ord(letter) for letter in text]


def wrapped(text: str) -> list[int]:
    return [BEGIN, *letters(text), END]


def blank_first(text: str) -> list[int]:
    """As SentencePiece: a blank before every text that is not empty."""
    return [BEGIN, *letters(f" {text}" if text else "")]


@pytest.mark.parametrize(("encode", "expected"), [(letters, ((), ())), (wrapped, ((BEGIN,), (END,))), (blank_first, ((BEGIN,), ()))])
def test_special_tokens_around_a_text_are_found(encode: Encode, expected: object) -> None:
    assert fidelity_text.around(encode) == expected


def test_a_passage_that_fits_is_one_window_without_end_tokens() -> None:
    assert fidelity_text.windows([Passage("prose", "x" * 30)], wrapped, 40) == [Window("prose", (BEGIN, *[ord("x")] * 30))]


def test_a_longer_passage_is_cut_into_windows_that_all_begin_alike() -> None:
    text = "".join(chr(97 + at % 26) for at in range(95))
    cut = fidelity_text.windows([Passage("code", text)], wrapped, 41)
    assert [len(window.ids) for window in cut] == [33, 33, 32]
    assert {window.ids[0] for window in cut} == {BEGIN}
    assert [token for window in cut for token in window.ids[1:]] == letters(text)


@pytest.mark.parametrize(("length", "kept"), [(FIRST_SCORED + 1, 0), (FIRST_SCORED + 2, 1)])
def test_a_window_without_a_position_to_compare_is_left_out(length: int, kept: int) -> None:
    assert len(fidelity_text.windows([Passage("prose", "x" * length)], letters, 40)) == kept


def test_short_samples_of_a_users_file_are_joined_up_to_a_window() -> None:
    samples = [Passage(OWN, letter * 9) for letter in "abcdef"]
    found = fidelity_text.windows(samples, wrapped, 31)
    assert ["".join(map(chr, window.ids[1:])) for window in found] == ["\n".join(letter * 9 for letter in part) for part in ("abc", "def")]


def test_a_long_sample_between_short_ones_is_cut_by_itself() -> None:
    samples = [Passage(OWN, letter * count) for letter, count in (("a", 20), ("b", 70), ("c", 20))]
    found = fidelity_text.windows(samples, letters, 40)
    assert [("".join(map(chr, window.ids))[:1], len(window.ids)) for window in found] == [("a", 20), ("b", 35), ("b", 35), ("c", 20)]


def test_shipped_passages_are_never_joined() -> None:
    assert len(fidelity_text.windows([Passage("prose", "a" * 20), Passage("prose", "b" * 20)], letters, 100)) == 2


def test_no_more_passages_are_encoded_than_windows_are_wanted() -> None:
    encoded: list[str] = []

    def encode(text: str) -> list[int]:
        encoded.append(text)
        return letters(text)

    assert len(fidelity_text.windows([Passage("prose", letter * 30) for letter in "cdef"], encode, 40, most=2)) == 2
    assert "e" * 30 not in encoded


@pytest.mark.parametrize("longest", [FIRST_SCORED + 1, 0])
def test_windows_too_short_to_compare_anything_are_an_error(longest: int) -> None:
    with pytest.raises(ValueError, match="no position to compare"):
        fidelity_text.windows([Passage("prose", "text")], letters, longest)


def test_own_samples_are_the_lines_that_are_not_blank(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_bytes("Grüße\r\n\r\n  \nzwei\n".encode())
    assert fidelity_text.own(tmp_path / "own.txt") == (Passage(OWN, "Grüße"), Passage(OWN, "zwei"))


def test_the_shipped_text_has_four_passages_of_each_set_and_24_prompts() -> None:
    text = fidelity_text.shipped()
    sets = [passage.set for passage in text.passages]
    assert text.version == 1
    assert {name: sets.count(name) for name in sets} == {"prose": 4, "technical": 4, "code": 4, "languages": 4}
    assert (len(text.prompts), len(set(text.prompts))) == (24, 24)


def test_a_shipped_version_never_changes() -> None:
    digest = hashlib.sha256((Path(text_generation.__file__).parent / "evaluation/text-1.yaml").read_bytes()).hexdigest()
    assert digest == "253fe4a8437d72bdb714937700d0467f73b33067bef121f5ee2feb3ef1f4abdb"


def test_every_shipped_passage_is_one_window_of_a_tokenizer_of_two_bytes_a_token() -> None:
    def pairs(text: str) -> list[int]:
        data = text.encode()
        return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]

    assert len(fidelity_text.windows(fidelity_text.shipped().passages, pairs, LONGEST)) == 16
