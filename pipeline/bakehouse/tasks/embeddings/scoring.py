"""Whether vectors are good: as near to the source's as the precision allows, and in the order that the recipe expects. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from bakehouse.records import Similarity, Verdict
from bakehouse.tasks import verdicts
from bakehouse.tasks.embeddings.golden import Search, least

Vector = Sequence[float]


def cosine(one: Vector, other: Vector) -> float:
    """The cosine of the angle between two vectors; 0 for one without a length."""
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0


def judge(golden: Search, vectors: Mapping[str, Vector], source: Mapping[str, Vector], weights: str) -> Verdict:
    """Compare the vectors of a query and its texts with the source's, and their order with the recipe's."""
    found = tuple(cosine(vectors[golden.query], vectors[text]) for text in golden.texts)
    of_source = tuple(cosine(source[golden.query], source[text]) for text in golden.texts)
    nearest = golden.texts[max(range(len(found)), key=found.__getitem__)]
    to_source = tuple(cosine(vectors[text], source[text]) for text in (golden.query, *golden.texts))
    reasons = tuple(_reasons(golden, nearest, vectors, to_source, least(golden, weights)))
    similarity = Similarity(texts=golden.texts, cosines=found, of_source=of_source, least_to_source=min(to_source))
    return verdicts.without_tokens(golden.query, nearest, reasons, similarity=similarity)


def _reasons(golden: Search, nearest: str, vectors: Mapping[str, Vector], to_source: Sequence[float], wanted: float) -> Iterator[str]:
    for text in (golden.query, *golden.texts):
        if not all(map(math.isfinite, vectors[text])) or not any(vectors[text]):
            yield f"the vector of {text!r} has no direction"
            return
    if nearest != golden.closest:
        yield f"the nearest text is {nearest!r}, should be {golden.closest!r}"
    if min(to_source) < wanted:
        yield f"a vector has cosine {min(to_source):.4f} to the source's, should be {wanted:g} or more"
