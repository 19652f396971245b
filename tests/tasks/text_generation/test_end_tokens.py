"""Which tokens end an answer: the first of a checkpoint's files that names any, and a generation config that always does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from bakehouse.tasks.text_generation.workers import end_tokens, hard_texts

TOKENIZER = {"added_tokens": [{"id": 7, "content": "<end>"}], "model": {"vocab": {"a": 0, "</s>": 3}}}


def checkpoint(folder: Path, **files: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("files", "ends"),
    [
        ({"generation_config": {"eos_token_id": [5, 2]}, "config": {"eos_token_id": 9}}, [2, 5]),
        ({"generation_config": {"temperature": 0.6}, "config": {"eos_token_id": 9}}, [9]),
        ({"config": {"eos_token_id": 0}}, [0]),
        ({"config": {"eos_token_id": None, "text_config": {"eos_token_id": 4}}}, [4]),
        ({"config": {}, "tokenizer_config": {"eos_token": "<end>"}, "tokenizer": TOKENIZER}, [7]),
        ({"config": {}, "tokenizer_config": {"eos_token": {"content": "</s>"}}, "tokenizer": TOKENIZER}, [3]),
        ({"config": {}, "special_tokens_map": {"eos_token": "<end>"}, "tokenizer": TOKENIZER}, [7]),
        ({"config": {}, "tokenizer_config": {"eos_token": "<other>"}, "tokenizer": TOKENIZER}, []),
        ({"config": {}}, []),
    ],
)
def test_the_first_file_that_names_an_end_token_counts(files: dict[str, Any], ends: list[int], tmp_path: Path) -> None:
    assert end_tokens.of(checkpoint(tmp_path / "model", **files)) == ends


def test_a_generation_config_that_was_not_saved_is_the_checkpoints_with_its_end_tokens(tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "source", generation_config={"temperature": 0.6}, config={"eos_token_id": 2})
    made = checkpoint(tmp_path / "made")
    assert end_tokens.complete(source, made, [2])
    assert json.loads((made / "generation_config.json").read_text(encoding="utf-8")) == {"eos_token_id": 2, "temperature": 0.6}


def test_a_generation_config_that_names_the_end_tokens_keeps_its_bytes(tmp_path: Path) -> None:
    made = checkpoint(tmp_path / "made", generation_config={"eos_token_id": [5, 2]})
    before = (made / "generation_config.json").read_bytes()
    assert not end_tokens.complete(tmp_path, made, [2, 5])
    assert (made / "generation_config.json").read_bytes() == before
    assert end_tokens.complete(tmp_path, made, [2])
    assert json.loads((made / "generation_config.json").read_text(encoding="utf-8")) == {"eos_token_id": 2}


def test_an_end_that_is_no_end_token_is_a_remark() -> None:
    assert end_tokens.remarks({"eos_token_id": 2, "turn_end_id": 7}, [2]) == {"turn_end_unnamed": 7}
    assert end_tokens.remarks({"eos_token_id": 2, "turn_end_id": None}, [2]) == {}


def _decomposed(text: str) -> list[int]:
    return [ord(character) for character in text]


def test_only_what_befalls_texts_that_are_not_composed_is_a_limit() -> None:
    import unicodedata

    def composes(text: str) -> list[int]:
        return _decomposed(unicodedata.normalize("NFC", text))

    def back(ids: list[int]) -> str:
        return "".join(map(chr, ids))

    found = hard_texts.differences(["e\u0301", "é"], (composes, back), (_decomposed, back))
    assert [case["limit"] for case in found] == [hard_texts.UNCOMPOSED]
    told = {"tokenizer_limits": [f'{hard_texts.UNCOMPOSED} (1 of 2 texts: "e\u0301")']}
    assert hard_texts.limits({"texts": 2, "differences": found}) == told
    wrong = hard_texts.differences(["e\u0301"], (composes, back), (lambda text: [1], back))
    assert "limit" not in wrong[0]


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
    assert [(case["text"], case["limit"]) for case in got] == [(long, hard_texts.LONG_RUN)]
    for other, cuts in ((cut, False), (lambda text: [1], True)):
        wrong = hard_texts.differences([long], (pairs, back), (other, back), cuts_runs=cuts)
        assert "limit" not in wrong[0]


WORDS = {1: "<s>", 2: " a", 3: " b"}


def _decoded(ids: list[int]) -> str:
    return "".join(WORDS[number] for number in ids if number != 1).removeprefix(" ")


@pytest.mark.parametrize(
    ("ids", "other", "limit"),
    [
        ([2, 3], " a b", hard_texts.FIRST_BLANK),
        ([2, 1, 3], " ab", hard_texts.BESIDE_SPECIAL),
        ([2, 1, 3], "a<s> b", hard_texts.BESIDE_SPECIAL),
        ([2, 3], "a  b", None),
        ([2, 3], "ab", None),
        ([2, 1, 3], "a c", None),
    ],
)
def test_a_decoded_text_may_differ_in_its_first_blank_and_beside_special_tokens(ids: list[int], other: str, limit: str | None) -> None:
    def got(asked: list[int]) -> str:
        return other if asked == ids else _decoded(asked)

    (case,) = hard_texts.differences(["x"], (lambda text: ids, _decoded), (lambda text: ids, got), special={1: "<s>"})
    assert case.get("limit") == limit


def test_what_differs_otherwise_is_one_sentence() -> None:
    cases = [
        {"text": "é", "expected_ids": [1, 5], "ids": [1, 2]},
        {"text": "e", "expected_ids": [1], "ids": [2], "limit": "known"},
        {"text": "é", "expected_text": "é", "decoded_text": "e"},
        {"chat": [], "expected_prompt": "Hi", "prompt": None},
    ]
    assert hard_texts.faults("Any", {"texts": 9, "chats": 3, "differences": cases}) == snapshot(
        [
            "the tokenizer of Any differs from transformers' in 1 of 9 texts and 1 of 3 chats: "
            '"é" has the ids [2] in place of [5] from token 1 on; "é" is decoded as "e" in place of "é"; the prompt null in place of "Hi". '
            "Build for another runtime, or take a checkpoint whose tokenizer.json this one reads"
        ]
    )
    assert hard_texts.faults("Any", {"texts": 9, "chats": 3, "differences": cases[1:2]}) == []
