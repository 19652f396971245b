"""What a model card says about a reranker."""

from __future__ import annotations

from collections.abc import Mapping

from bakehouse.package import card_use
from bakehouse.package.manifest import PackageManifest
from bakehouse.records import Verdict
from bakehouse.tasks.reranker.golden import mine


def words(manifest: PackageManifest) -> dict[str, object]:
    """Variables of the card: the golden input that its program uses, and how near the scores are to the source's."""
    shown, used = mine(manifest.build.golden)[0], card_use.other_run(manifest.validation)
    return {
        "query": shown.query,
        "around": next((one.ranking.around for one in manifest.validation.verdicts if one.ranking), None),
        "texts": shown.texts,
        "searches": [_search(one) for one in used or manifest.validation.verdicts],
        "difference": _difference(manifest.validation.verdicts),
        "difference_in_use": _difference(used) if used else None,
    }


def _difference(verdicts: tuple[Verdict, ...]) -> float:
    """The largest difference of a score to the source's."""
    return max(one.ranking.largest_difference for one in verdicts if one.ranking)


def _search(one: Verdict) -> Mapping[str, object]:
    """A query, and each text with its score by the model and by the source, the best first."""
    assert one.ranking is not None
    rows = zip(one.ranking.texts, one.ranking.scores, one.ranking.of_source, strict=True)
    return {"query": one.prompt, "rows": sorted(rows, key=lambda row: -row[1])}
