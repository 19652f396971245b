"""Scores are judged by their nearness to the source's, and by the order that they give the texts."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot
from pydantic import ValidationError

from bakehouse.formats.checkpoint import Survey
from bakehouse.records import Ranking
from bakehouse.tasks.reranker import task, writers
from bakehouse.tasks.reranker.golden import Ranked
from bakehouse.tasks.reranker.scoring import judge

TEXTS = ("dough", "train", "bread")
GOLDEN = Ranked(query="bake", texts=TEXTS, best="dough")
SOURCE = (0.9, 0.1, 0.5)


@pytest.mark.parametrize(
    ("scores", "weights", "passes"),
    [
        (SOURCE, "fp16", True),
        ((0.9, 0.1, 0.51), "fp16", False),
        ((0.9, 0.1, 0.51), "int8", True),
        ((0.9, 0.1, 0.65), "int4", True),
        ((0.5, 0.1, 0.9), "int4", False),
        ((0.9, 0.5, 0.49), "int4", False),
        ((float("nan"), 0.1, 0.5), "fp16", False),
    ],
)
def test_scores_pass_that_are_near_the_sources_and_in_its_order(scores: tuple[float, ...], weights: str, passes: bool) -> None:
    assert judge(GOLDEN, scores, SOURCE, weights).passed is passes


def test_reasons_name_the_texts_and_the_figures() -> None:
    assert judge(GOLDEN, (0.5, 0.1, 0.9), SOURCE, "int8").reasons == snapshot(
        (
            "the order of the texts is ['bread', 'dough', 'train'], the source's is ['dough', 'bread', 'train']",
            "the best text is 'bread', should be 'dough'",
            "a score differs by 0.4000 from the source's, should be 0.05 or less",
        )
    )


def test_a_recipe_may_name_the_order_and_how_far_a_score_may_be_away() -> None:
    ordered = Ranked(query="bake", texts=TEXTS, order=("bread", "dough", "train"), max_score_difference=0.5)
    assert judge(ordered, (0.5, 0.1, 0.9), SOURCE, "fp16").passed
    assert judge(ordered, SOURCE, SOURCE, "fp16").reasons == snapshot(
        ("the order of the texts is ['dough', 'bread', 'train'], it should be ['bread', 'dough', 'train']",)
    )


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"best": None}, "Nothing is expected of the scores."),
        ({"best": "cake"}, "is not among the texts."),
        ({"order": TEXTS}, "The first text of `order` is the best already."),
        ({"best": None, "order": TEXTS[:2]}, "These are not the texts."),
        ({"texts": ("dough", "dough")}, "A text is named twice."),
    ],
)
def test_an_input_that_cannot_be_judged_is_refused(changed: dict[str, Any], what: str) -> None:
    given = {"query": "bake", "texts": TEXTS, "best": "dough"} | changed
    with pytest.raises(ValidationError) as refused:
        Ranked.model_validate({name: value for name, value in given.items() if value is not None})
    assert what in str(refused.value)


def test_a_model_that_writes_text_has_in_its_ranking_what_it_gets_around_a_text() -> None:
    golden = Ranked(query="a", texts=("b", "c"), best="b", instruction="Find b")
    assert judge(golden, (0.9, 0.1), (0.9, 0.1), "fp16").ranking == Ranking(
        texts=("b", "c"), scores=(0.9, 0.1), of_source=(0.9, 0.1), largest_difference=0.0
    )
    ranking = judge(golden, (0.9, 0.1), (0.9, 0.1), "fp16", writes=True).ranking
    assert ranking is not None and ranking.around is not None
    assert ranking.around[0].endswith("<Instruct>: Find b\n<Query>: a\n<Document>: ") and ranking.around[1].endswith("</think>\n\n")


def test_only_a_qwen3_that_writes_is_one() -> None:
    assert writers.writes({"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]})
    headed = {"model_type": "qwen3", "architectures": ["Qwen3ForSequenceClassification"], "id2label": {"0": "a"}}
    assert not writers.writes(headed) and not writers.writes({"model_type": "llama", "architectures": ["LlamaForCausalLM"]})
    (reason,) = task.unfit(Survey(download_bytes=0, config=headed, tensors=()))
    assert reason.startswith("it is a Qwen3 with a head for scores, which is not made")
