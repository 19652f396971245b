"""Whether scores are good: as near to the source's as the precision allows, and in the order that it or the recipe has. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bakehouse.records import Ranking, Verdict
from bakehouse.tasks import verdicts
from bakehouse.tasks.reranker import writers
from bakehouse.tasks.reranker.golden import Ranked, most
from bakehouse.tasks.reranker.seams import Question


def ordered(texts: Sequence[str], scores: Sequence[float]) -> tuple[str, ...]:
    """The texts, the one with the highest score first."""
    return tuple(text for _, text in sorted(zip(scores, texts, strict=True), key=lambda pair: -pair[0]))


def judge(golden: Ranked, scores: Sequence[float], source: Sequence[float], weights: str, *, writes: bool = False) -> Verdict:
    """Compare the scores of the texts with the source's, and their order with the source's and the recipe's.

    `writes`: the model writes text, and the card's program needs what it gets around a text.
    """
    found = ordered(golden.texts, scores)
    difference = max(abs(one - other) for one, other in zip(scores, source, strict=True))
    reasons = tuple(_reasons(golden, found, scores, source, difference, most(golden, weights)))
    ranking = Ranking(
        texts=golden.texts,
        scores=tuple(scores),
        of_source=tuple(source),
        largest_difference=difference,
        around=_around(golden) if writes else None,
    )
    return verdicts.without_tokens(golden.query, found[0], reasons, ranking=ranking)


def _around(golden: Ranked) -> tuple[str, str]:
    question = Question(query=golden.query, texts=golden.texts, instruction=golden.instruction)
    return writers.before(question), writers.AFTER


def _reasons(
    golden: Ranked, found: tuple[str, ...], scores: Sequence[float], source: Sequence[float], difference: float, allowed: float
) -> Iterator[str]:
    if not all(map(math.isfinite, scores)):
        yield "a score is not a number"
        return
    expected = golden.order or ordered(golden.texts, source)
    whose = "it should be" if golden.order else "the source's is"
    if found != expected:
        yield f"the order of the texts is {list(found)}, {whose} {list(expected)}"
    if golden.best is not None and found[0] != golden.best:
        yield f"the best text is {found[0]!r}, should be {golden.best!r}"
    if difference > allowed:
        yield f"a score differs by {difference:.4f} from the source's, should be {allowed:g} or less"
