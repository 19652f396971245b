from __future__ import annotations

import pytest
from inline_snapshot import snapshot

from bakehouse.tasks.text_generation.golden import Golden
from bakehouse.tasks.text_generation.scoring import Answer, judge, loop, unmatched

PARIS = Answer((5, 6, 7, 2), "The capital of France is Paris.", ended=True)


def _golden(**expected: object) -> Golden:
    return Golden.model_validate({"prompt": "What is the capital of France?", **({"contains": ("Paris",)} | expected)}).normal()


def _reasons(golden: Golden, answer: Answer, source: Answer = PARIS, least: int = 0) -> tuple[str, ...]:
    verdict = judge(golden, answer, source, least)
    assert verdict.passed == (not verdict.reasons)
    return verdict.reasons


@pytest.mark.parametrize(
    "expected",
    [{"contains": ("Paris", "France")}, {"matches": r"capital .* is (Paris|Lyon)\b"}, {"equals": " The capital of France is Paris.\n"}],
    ids=lambda expected: next(iter(expected)),
)
def test_a_good_answer_passes(expected: dict[str, object]) -> None:
    assert _reasons(_golden(**expected), PARIS) == ()


def test_an_expression_that_comes_to_no_end_is_a_reason_in_time() -> None:
    assert list(unmatched("^(a|aa)+$", "a" * 60 + "b", limit_s=0.05)) == snapshot(
        ["the answer was compared with '^(a|aa)+$' for 0.05 seconds to no end: write it without repetitions of repetitions"]
    )


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        ({"contains": ("Paris", "Seine")}, "the answer does not contain 'Seine'"),
        ({"matches": "^Paris"}, "the answer does not match '^Paris'"),
        ({"equals": "Paris."}, "the answer is not 'Paris.'"),
    ],
    ids=["contains", "matches", "equals"],
)
def test_an_answer_that_is_not_what_is_expected_is_refused_with_the_reason(expected: dict[str, object], reason: str) -> None:
    assert _reasons(_golden(**expected), PARIS) == (reason,)


def test_an_empty_answer_is_refused_whatever_is_expected() -> None:
    assert "the answer is empty" in _reasons(_golden(contains=(), matches=r"\s"), Answer((2,), " \n", ended=True))


def test_an_answer_that_is_cut_off_is_refused_unless_the_recipe_allows_it() -> None:
    cut = Answer((5, 6, 7), "The capital of France is Paris, and", ended=False)
    assert _reasons(_golden(max_new_tokens=3), cut) == snapshot(("the answer does not end by itself within 3 tokens",))
    assert _reasons(_golden(max_new_tokens=3, ends=False), cut) == ()


@pytest.mark.parametrize(
    ("tokens", "period"),
    [
        ((), 0),
        (tuple(range(100)), 0),
        ((1, 2, 3, *[9] * 15), 0),
        ((1, 2, 3, *[9] * 16), 1),
        ((1, *[4, 5, 6] * 6), 3),
        ((1, *list(range(20)) * 3), 0),
        ((1, *list(range(20)) * 4), 20),
        ((*[9] * 40, 1, 2, 3), 0),
    ],
)
def test_a_loop_is_found_by_its_shortest_period_and_a_list_is_not_a_loop(tokens: tuple[int, ...], period: int) -> None:
    assert loop(tokens) == period


def test_an_answer_in_circles_is_refused_even_if_its_end_is_not_required() -> None:
    assert _reasons(_golden(ends=False), Answer((1, *[4, 5] * 20), "Paris Paris", ended=False)) == snapshot(
        ("the answer goes round in circles: its last 2 tokens come again and again",)
    )


@pytest.mark.parametrize(("least", "passes"), [(0, True), (2, True), (3, False), (100, False)])
def test_the_least_agreement_with_the_source_is_counted_in_leading_tokens(least: int, passes: bool) -> None:
    source = Answer((5, 6, 9, 9, 2), "", ended=True)
    assert (_reasons(_golden(), PARIS, source, least) == ()) is passes
    agreement = judge(_golden(), PARIS, source, least).agreement
    assert (agreement.common_tokens, agreement.answer_tokens, agreement.source_tokens) == (2, 4, 5)


def test_a_source_answer_shorter_than_the_least_agreement_must_be_shared_in_full() -> None:
    assert _reasons(_golden(), PARIS, PARIS, 100) == ()


def test_a_runtime_that_reads_the_prompt_as_other_tokens_is_refused() -> None:
    asked = Answer((5, 2), "Paris", ended=True, prompt_ids=(1, 2, 3))
    assert _reasons(_golden(), asked, asked) == ()
    assert _reasons(_golden(), asked, Answer((5, 2), "Paris", ended=True, prompt_ids=(1, 2))) == snapshot(
        ("the runtime makes 3 tokens of this prompt that are not the 2 of transformers: its chat template or its tokenizer differs",)
    )


def test_the_end_of_a_chats_turn_must_be_an_end_token_only_where_a_chat_ran_on() -> None:
    cut = Answer((5,), "Paris", ended=False)
    chat, text = _golden(ends=False), Golden.model_validate({"raw": "The capital of France is", "contains": ("Paris",), "ends": False})
    assert judge(text, cut, cut, 0, turn_end=7).passed
    assert judge(chat, PARIS, PARIS, 0, turn_end=7).passed
    [reason] = judge(chat, cut, cut, 0, turn_end=7).reasons
    assert reason.startswith("the chat template ends an answer with the token 7, which is not among the model's end tokens")
