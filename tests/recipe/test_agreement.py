"""Full-precision builds answer as their source does; what lowers that has a reason, and rounding is no difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bakehouse.backends.openvino.options import OpenVINO
from bakehouse.recipe import agreement
from bakehouse.tasks.text_generation.golden import Golden
from bakehouse.tasks.text_generation.scoring import Answer, judge

pytestmark = pytest.mark.needs_backend("openvino")

SOURCE = Answer((5, 6, 7, 8, 2), "one", ended=True, runners=((9, 3.0), (9, 2.0), (4, 0.004), (9, 5.0), (9, 9.0)))
GOLDEN = Golden.model_validate({"raw": "x", "matches": ".", "ends": False})


def test_full_precision_shares_all_tokens_unless_the_recipe_says_why_not() -> None:
    assert [agreement.least(weights, 0, None) for weights in ("fp32", "fp16", "bf16", "int8", "int4")] == [4096, 4096, 4096, 0, 0]
    assert agreement.least("fp16", 3, "its norms overflow") == 3


@pytest.mark.parametrize(
    ("tokens", "tie", "passes"),
    [
        ((5, 6, 4, 1, 2), 0.01, True),  # the second best, as good as the best
        ((5, 6, 3, 1, 2), 0.01, False),  # another token
        ((5, 6, 4, 1, 2), 0.001, False),  # farther than rounding goes
        ((5, 9, 4, 1, 2), 0.01, False),
        ((5, 6, 4, 1, 2), 0.0, False),
    ],
)
def test_only_a_near_tie_of_the_sources_two_best_tokens_may_go_either_way(tokens: tuple[int, ...], tie: float, passes: bool) -> None:
    verdict = judge(GOLDEN, Answer(tokens, "other", ended=True), SOURCE, agreement.ALL, tie)
    assert verdict.passed is passes
    assert verdict.agreement.near_tie == (0.004 if passes else None)


@pytest.mark.parametrize(
    ("tokens", "length", "compared", "passes"),
    [
        ((5, 6, 3, 1), None, None, False),
        ((5, 6, 3, 1), 11, 2, True),  # the third token follows 12
        ((5, 3, 3, 1), 11, 2, False),
        ((5, 6, 3, 1), 12, 3, False),
        ((5, 6, 3, 1), 14, None, False),  # the answer does not pass it
        ((5, 6, 3, 1), 9, None, False),  # nor does the prompt lie below it
    ],
)
def test_an_answer_is_compared_up_to_where_the_runtime_keeps_other_keys(
    tokens: tuple[int, ...], length: int | None, compared: int | None, passes: bool
) -> None:
    prompt = tuple(range(10))
    source, answer = replace(SOURCE, prompt_ids=prompt), Answer(tokens, "other", ended=True, prompt_ids=prompt)
    verdict = judge(GOLDEN, answer, source, agreement.ALL, kept_beyond=length)
    assert (verdict.agreement.compared_tokens, verdict.passed) == (compared, passes)
    assert agreement.kept_beyond([{"context_length": 1}, agreement.kept(length)]) == length


def test_rounding_excuses_no_quantized_weights_and_more_where_either_side_rounds_more() -> None:
    assert agreement.tie("int8", "float32") == 0.0
    assert agreement.tie("fp32", "float32") < agreement.tie("fp16", "float32") < agreement.tie("fp16", "bfloat16")


def test_a_build_without_a_reason_dumps_as_it_always_did() -> None:
    fields: dict[str, Any] = {"runtime": "openvino", "quantization": {"weights": "fp16"}}
    assert OpenVINO.model_validate(fields).model_dump(mode="json") == {**fields, "min_agreement": 0}
