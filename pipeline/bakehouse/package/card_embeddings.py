"""What a model card says about a model that turns texts into vectors."""

from __future__ import annotations

from collections.abc import Mapping

from bakehouse.package import card_use
from bakehouse.package.manifest import PackageManifest
from bakehouse.records import Pooling, Verdict
from bakehouse.tasks.embeddings.golden import mine

_MODES = {
    "cls": "the state of the first token",
    "mean": "the mean of the states of all tokens",
    "last_token": "the state of the last token",
}


def words(manifest: PackageManifest) -> dict[str, object]:
    """Variables of the card: the golden input that its program uses, how vectors are made, and how near they are to the source's."""
    shown = mine(manifest.build.golden)[0]
    how = pooling(manifest)
    validation = manifest.validation
    used = card_use.other_run(validation)
    return {
        "query": shown.query,
        "texts": shown.texts,
        "pooling": how,
        "pooled": _MODES[how.mode] + (", divided by its length" if how.normalize else ""),
        "vector_size": validation.vector_size,
        "searches": [_search(one) for one in used or validation.verdicts],
        "nearness": _nearness(validation.verdicts),
        "nearness_in_use": _nearness(used) if used else None,
    }


def pooling(manifest: PackageManifest) -> Pooling:
    """How the model makes a vector of a text."""
    found = manifest.validation.pooling
    assert found is not None, "a model of embeddings was validated with its pooling"
    return found


def _nearness(verdicts: tuple[Verdict, ...]) -> float:
    """The least cosine of a vector to the source's."""
    return min(one.similarity.least_to_source for one in verdicts if one.similarity)


def _search(one: Verdict) -> Mapping[str, object]:
    """A query, and each text with its cosine by the model and by the source, the nearest first."""
    assert one.similarity is not None
    rows = zip(one.similarity.texts, one.similarity.cosines, one.similarity.of_source, strict=True)
    return {"query": one.prompt, "rows": sorted(rows, key=lambda row: -row[1])}
